"""What is on the disk is enough: nothing is lost, nothing is doubled, whenever the process ends."""

import asyncio
import sqlite3
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_tools import TARGET, FakeTarget, as_after_a_crash, ask, ended, sweep, work_off
from values import FakeVariants

from taskgen.errors import QueueError, TaskSetError
from taskgen.interfaces import FailureClass
from taskgen.queue import JobQueue, JobSpec, JobState
from taskgen.taskset import TaskSet


def run(work):
    return asyncio.run(asyncio.wait_for(work, 120))


def test_a_job_goes_on_where_it_was(tmp_path):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            spec = JobSpec(sweep(6), offset=1, limit=4, repeat=1, labels={"a": "b"}, priority=2)
            job_id = await queue.add(spec)
            await queue.settle(ended(await queue.claim(TARGET)))
            running = await queue.claim(TARGET)
            before = await queue.job(job_id)
        assert ask(tmp_path / "queue", "SELECT target FROM claims") == [("taskgen-1",)]
        async with JobQueue.open(tmp_path / "queue") as queue:
            assert ask(tmp_path / "queue", "SELECT target FROM claims") == [(None,)]
            assert await queue.claim(TARGET) == running
            assert queue.counts == before.counts
            assert await queue.job(job_id) == before
            await queue.settle(ended(running))
            assert await work_off(queue) == [3, 4]
            assert (await queue.wait_job(job_id)).state is JobState.DONE
        async with JobQueue.open(tmp_path / "queue") as queue:
            assert queue.backlog == 0
            assert await queue.claim(TARGET) is None
            info = await queue.wait_job(job_id)
            assert (info.state, info.counts.done) == (JobState.DONE, 4)

    run(main())


def test_failures_of_before_count(tmp_path):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            job_id = await queue.add(JobSpec(sweep(1), tries=2))
            failed = ended(await queue.claim(TARGET), FailureClass.TASK, console="oops")
            await queue.settle(failed)
        async with JobQueue.open(tmp_path / "queue") as queue:
            again = await queue.claim(TARGET)
            assert again.attempt == 2
            attempts = await queue.settle(ended(again, FailureClass.TASK))
            assert attempts[0] == failed.outcome
            await queue.wait_job(job_id)
        async with JobQueue.open(tmp_path / "queue") as queue:
            assert await queue.retry_bad(job_id) == 1
        async with JobQueue.open(tmp_path / "queue") as queue:
            assert queue.counts.bad == 0
            third = await queue.claim(TARGET)
            assert third.attempt == 3
            assert await queue.settle(ended(third, FailureClass.TASK)) == ()
            assert await work_off(queue) == [0]

    run(main())


def test_results_can_be_told_again_as_the_runs_that_they_were(tmp_path):
    """After a crash, for handlers that were not told of what was on the disk already."""

    async def main():
        runs = []
        async with JobQueue.open(tmp_path / "queue") as queue:
            job_id = await queue.add(JobSpec(sweep(4), offset=1, profile="linux-x86_64"))
            while run := await queue.claim(TARGET):
                runs.append(ended(run, reason=run.id))
                await queue.settle(runs[-1])
            assert [each async for each in queue.result_runs(job_id)] == runs
        async with JobQueue.open(tmp_path / "queue") as queue:
            assert [each async for each in queue.result_runs(job_id, after=1)] == runs[1:]
            nobody = await queue.add(JobSpec(FakeVariants(1, 1)))
            await work_off(queue)
            with pytest.raises(TaskSetError, match="no document"):
                [each async for each in queue.result_runs(nobody)]

    run(main())


def test_a_paused_job_stays_paused_and_a_cancelled_one_cancelled(tmp_path):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            paused, cancelled = (
                await queue.add(JobSpec(sweep(2))),
                await queue.add(JobSpec(sweep(2))),
            )
            for _ in range(2):
                await queue.claim(TARGET)
            await queue.pause(paused)
            await queue.cancel(cancelled)
            copy = as_after_a_crash(tmp_path / "queue", tmp_path / "copy")
        async with JobQueue.open(copy) as queue:
            assert await queue.claim(TARGET) is None
            assert (await queue.wait_job(cancelled)).state is JobState.CANCELLED
            await queue.resume(paused)
            assert await work_off(queue) == [0, 1]
        assert ask(copy, "SELECT count(*) FROM claims") == [(0,)]

    run(main())


def test_a_job_without_a_document_says_that_it_cannot_be_resumed(tmp_path, caplog):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            job_id = await queue.add(JobSpec(FakeVariants(4, 4), name="mine"))
            assert "job mine cannot be resumed" in caplog.text
            run_1, run_2 = await queue.claim(TARGET), await queue.claim(TARGET)
            await queue.settle(ended(run_1))
            await queue.settle(ended(run_2, FailureClass.TASK))
        async with JobQueue.open(tmp_path / "queue") as queue:
            assert (queue.backlog, await queue.claim(TARGET)) == (0, None)
            info = await queue.wait_job(job_id)
            assert info.state is JobState.FAILED
            assert "no document holds its task-set" in info.error
            assert [each.variant async for each in queue.results(job_id)] == [0]
            with pytest.raises(TaskSetError, match="no document"):
                await queue.variant(job_id, 0)
        assert ask(tmp_path / "queue", "SELECT count(*) FROM claims") == [(0,)]

    run(main())


def test_a_set_whose_class_makes_its_own_variants_is_not_stored_as_something_else(tmp_path):
    class Own(TaskSet):
        def variants(self, **keys):
            return FakeVariants(2, 2)

    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            job_id = await queue.add(JobSpec(Own([{"pkg": "hey", "period": [1, 2, 3]}])))
            assert not (await queue.job(job_id)).resumable
            assert len(await work_off(queue)) == 2

    run(main())


def test_a_stream_is_walked_again_for_what_was_set_aside():
    async def main():
        async with JobQueue.open() as queue:
            stream = sweep(6).variants(where=lambda variant: variant.index % 2)
            job_id = await queue.add(JobSpec(stream, offset=1, tries=1))
            settled = []
            while run := await queue.claim(TARGET):
                settled.append(run.variant.index)
                await queue.settle(ended(run, FailureClass.TASK))
            assert settled == [3, 5]
            assert await queue.retry_bad(job_id) == 2
            assert await work_off(queue) == [3, 5]

    run(main())


def test_two_at_once_do_not_retry_the_same_variants(tmp_path):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            job_id = await queue.add(JobSpec(sweep(3), tries=1))
            while run := await queue.claim(TARGET):
                await queue.settle(ended(run, FailureClass.TASK))
            retried = await asyncio.gather(*(queue.retry_bad(job_id) for _ in range(3)))
            assert sum(retried) == 3
            assert await work_off(queue) == [0, 1, 2]

    run(main())


def test_a_claim_is_written_soon_even_if_nobody_waits_for_it(tmp_path):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            await queue.add(JobSpec(sweep(2)))
            await queue.claim(FakeTarget("taskgen-7"))
            deadline = time.monotonic() + 60
            while not ask(tmp_path / "queue", "SELECT * FROM claims"):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            assert ask(tmp_path / "queue", "SELECT position, attempt, target FROM claims") == [
                (0, 1, "taskgen-7")
            ]

    run(main())


STEPS = ["claim", "settle", "push back", "retry", "crash", "restart", "wait", *FailureClass]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12),
    st.integers(1, 3),
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3)), max_size=60),
)
def test_whatever_happens_each_variant_has_exactly_one_result(
    tmp_path_factory, variants, tries, steps
):
    """Claims, results, failures, crashes and restarts, in any order and also at the same time."""
    directory = tmp_path_factory.mktemp("queue")
    targets = [FakeTarget(f"board-{number}") for number in range(4)]
    acknowledged = {}

    async def settle(queue, run, failure):
        await queue.settle(ended(run, failure, reason=f"{run.id} {len(acknowledged)}"))
        acknowledged[run.id] = failure

    async def life(path, number, add):  # noqa: PLR0912 - a step is a step
        """One process's life, until a crash or the end of the steps; returns the next file."""
        async with JobQueue.open(path) as queue:
            if add:
                await queue.add(JobSpec(sweep(variants), tries=tries), job_id="job")
            for target in targets:
                queue.join(target)
            claimed, settling = [], []
            while steps:
                step, which = steps.pop(0)
                if step == "claim":
                    if run := await queue.claim(targets[which]):
                        assert run.id not in acknowledged
                        claimed.append(run)
                elif step == "retry":
                    await queue.retry_bad("job")
                elif step == "wait":
                    await asyncio.gather(*settling)
                elif step == "crash":
                    crashed = as_after_a_crash(path, directory / str(number))
                    known = dict(acknowledged)
                    await asyncio.gather(*settling)
                    acknowledged.clear()
                    acknowledged.update(known)  # what came after the crash never happened
                    return crashed
                elif step == "restart":
                    await asyncio.gather(*settling)
                    return path
                elif claimed:
                    run = claimed.pop(which % len(claimed))
                    if step == "push back":
                        await queue.push_back(run)
                    else:
                        failure = None if step == "settle" else step
                        settling.append(asyncio.create_task(settle(queue, run, failure)))
                        await asyncio.sleep(0)
            await asyncio.gather(*settling)
            for run in claimed:
                await settle(queue, run, None)
            await queue.retry_bad("job")
            for target in targets[1:]:
                queue.leave(target)
            while run := await queue.claim(targets[0]):
                await settle(queue, run, None)
            info = await queue.wait_job("job")
            assert (info.state, info.counts.done, info.counts.bad) == ("done", variants, 0)
            assert queue.backlog == 0
            return None

    async def main():
        path, number, add = directory / "first", 0, True
        while path:
            last, number = path, number + 1
            path = await life(path, number, add)
            add = False
        return last

    last = run(main())
    rows = ask(last, "SELECT position, attempt, failure FROM attempts ORDER BY position, attempt")
    assert [row[0] for row in rows if row[2] is None] == list(range(variants))
    kept = {f"job-{position}-{attempt}": failure for position, attempt, failure in rows}
    assert len(kept) == len(rows)
    assert acknowledged.items() <= kept.items()
    assert ask(last, "SELECT count(*) FROM claims UNION ALL SELECT count(*) FROM bad") == [
        (0,),
        (0,),
    ]


def test_a_second_result_for_a_variant_is_impossible(tmp_path):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            await queue.add(JobSpec(sweep(1)))
            await work_off(queue)

    run(main())
    names = "job, position, variant, target, failure, reason, started_at, duration_s, activations,"
    names += " provenance, attempt"
    again = f"INSERT INTO attempts ({names}) SELECT {names} + 1"
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        ask(tmp_path / "queue", f"{again} FROM attempts")


def test_a_result_that_must_not_be_stops_the_queue_loudly(tmp_path):
    """Nothing is acknowledged any more, and a restart goes on from what was."""

    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            job_id = await queue.add(JobSpec(sweep(2)))
            first = await queue.claim(TARGET)
            forged = queue._claims[first.id]
            await queue.settle(ended(first))
            queue._claims[first.id] = forged
            with pytest.raises(QueueError, match="UNIQUE"):
                await queue.settle(ended(first))
            for broken in (queue.claim(TARGET), queue.add(JobSpec(sweep(1))), queue.job(job_id)):
                with pytest.raises(QueueError):
                    await broken
            assert queue.counts.done == 1
        async with JobQueue.open(tmp_path / "queue") as queue:
            assert await work_off(queue) == [1]

    run(main())

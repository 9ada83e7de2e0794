"""What a queue tells beside its work: jobs, runs, documents, changes."""

import asyncio
import threading
from dataclasses import replace

import pytest
from queue_tools import TARGET, FakeTarget, ended, path, sweep, with_queue, work_off
from values import FakeVariants, activation, event

from taskgen.errors import QueueError, StateError, UnknownJobError, UnknownRunError
from taskgen.interfaces import FailureClass
from taskgen.queue import JobQueue, JobSpec, JobState, RunState

__all__ = ["path"]


DIGEST = "ab" * 32


def test_jobs_are_chosen_by_state_and_labels_page_by_page(path):
    async def work(queue):
        ids = {}
        for name, labels in (
            ("a", {}),
            ("b", {"who": "me"}),
            ("c", {"who": "me", "what.ever": '"x"'}),
            ("d", {"who": "you", "me": "who"}),
        ):
            ids[await queue.add(JobSpec(sweep(1), name=name, labels=labels))] = name
        await queue.cancel(next(id_ for id_, name in ids.items() if name == "b"))

        async def names(**keys):
            return "".join([ids[job.id] for job in await queue.jobs(**keys)])

        assert await names() == "abcd"
        assert await names(labels={"who": "me"}) == "bc"
        assert await names(labels={"who": "me", "what.ever": '"x"'}) == "c"
        assert await names(labels={"me": "me"}) == ""
        assert await names(state=JobState.CANCELLED) == "b"
        assert await names(state=JobState.QUEUED, labels={"who": "me"}) == "c"
        assert await names(limit=3) == "abc"
        assert await names(after=3) == "d"
        assert await names(limit=0) == ""

    with_queue(path, work)


def test_what_was_acknowledged_is_seen_at_once(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(3), tries=1))
        assert (await queue.job(job_id)).state is JobState.QUEUED
        await queue.settle(ended(await queue.claim(TARGET)))
        await queue.settle(ended(await queue.claim(TARGET), FailureClass.TASK))
        info = await queue.job(job_id)
        assert (info.state, info.counts.done, info.counts.bad) == (JobState.RUNNING, 1, 1)
        assert [each.state for each in await queue.runs(job_id)] == [RunState.DONE, RunState.BAD]
        attempts, _ = await queue.attempts_feed()
        assert [each.bad for each in attempts] == [False, True]
        await queue.pause(job_id)
        assert (await queue.jobs(state=JobState.PAUSED))[0].id == job_id

    with_queue(path, work)


def test_reading_writes_nothing(tmp_path):
    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(3)))
        await queue.settle(ended(await queue.claim(TARGET)))
        await asyncio.sleep(0)
        before = queue.transactions
        for _ in range(20):
            await queue.job(job_id)
            await queue.jobs()
            await queue.attempts_feed()
            await queue.runs(job_id)
            await queue.attempt(f"{job_id}-0-1")
            await queue.document(job_id)
        assert queue.transactions == before

    with_queue(tmp_path / "queue", work)


def test_reading_does_not_wait_for_what_is_being_written(tmp_path, monkeypatch):
    """A disk that takes its time delays nobody who reads."""
    go_on, begun = threading.Event(), threading.Event()

    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(3)))
        original = queue._committer._database.write

        def slow(batch):
            begun.set()
            assert go_on.wait(60)
            original(batch)

        monkeypatch.setattr(queue._committer._database, "write", slow)
        settling = queue.settle(ended(await queue.claim(TARGET)))
        assert await asyncio.to_thread(begun.wait, 60)
        assert (await queue.job(job_id)).counts.done == 0
        assert await queue.attempts_feed() == ([], 0)
        assert not settling.done()
        go_on.set()
        await settling
        assert len((await queue.attempts_feed())[0]) == 1

    with_queue(tmp_path / "queue", work)


def test_nothing_is_told_once_the_queue_cannot_be_written(tmp_path):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            job_id = await queue.add(JobSpec(sweep(2)))
            first = await queue.claim(TARGET)
            forged = queue._claims[first.id]
            await queue.settle(ended(first))
            queue._claims[first.id] = forged
            with pytest.raises(QueueError, match="UNIQUE"):
                await queue.settle(ended(first))
            for read in (
                queue.job(job_id),
                queue.jobs(),
                queue.attempts_feed(),
                queue.runs(job_id),
                queue.attempt(f"{job_id}-0-1"),
                queue.document(job_id),
            ):
                with pytest.raises(QueueError, match="cannot be written"):
                    await read

    asyncio.run(main())


def test_the_runs_of_a_job_are_told_with_all_their_attempts(path):
    told = (activation(), activation(number=2))

    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(6), tries=2))
        zero, one, two = [await queue.claim(TARGET) for _ in range(3)]
        await queue.claim(FakeTarget("board-7"))
        four = await queue.claim(TARGET)
        failed = ended(zero, FailureClass.TASK, console="oops", events=(event("EXIT"),))
        await queue.settle(failed)
        await queue.settle(ended(one, activations=told))
        await queue.settle(ended(two, FailureClass.TASK))
        await queue.settle(ended(four, FailureClass.GUEST))
        await queue.pause(job_id)
        await queue.resume(job_id)
        five = await queue.claim(TARGET)
        again = await queue.claim(TARGET)
        assert again.id == f"{job_id}-0-2"
        await queue.settle(ended(again, activations=told))
        await queue.settle(ended(await queue.claim(TARGET), FailureClass.TASK))
        await queue.push_back(five)
        await queue.pause(job_id)  # what was begun is on the disk with it
        runs = await queue.runs(job_id)
        assert [(run.position, run.attempt, run.state.value, run.target) for run in runs] == [
            (0, 2, "done", "taskgen-1"),
            (1, 1, "done", "taskgen-1"),
            (2, 2, "bad", "taskgen-1"),
            (3, 1, "running", "board-7"),
            (4, 2, "waiting", None),
            (5, 1, "waiting", None),
        ]
        assert [run.variant for run in runs] == list(range(6))
        assert runs[5].parameters == {"1.period": 15}
        assert [each.outcome.console for each in runs[0].attempts] == ["", ""]
        assert runs[0].ended.outcome.activations == ()

        assert [run.position for run in await queue.runs(job_id, failed=True)] == [0, 2, 4]
        assert [run.position for run in await queue.runs(job_id, failed=False)] == [1, 3, 5]
        assert [run.position for run in await queue.runs(job_id, limit=2)] == [0, 1]
        assert [run.position for run in await queue.runs(job_id, after=3, limit=1)] == [4]
        assert [run.position for run in await queue.runs(job_id, after=5)] == []

        first = await queue.attempt(zero.id)
        assert (first.id, first.state) == (zero.id, RunState.FAILED)
        assert first.ended.outcome == failed.outcome
        assert [each.attempt for each in first.attempts] == [1, 2]
        second = await queue.attempt(again.id)
        assert (second.state, second.ended.outcome.activations) == (RunState.DONE, told)
        assert second.ended.parameters == {"1.period": 10}
        third = await queue.attempt(f"{job_id}-4-2")
        assert (third.target, third.ended, len(third.attempts)) == (None, None, 1)

    with_queue(path, work)


@pytest.mark.parametrize(
    "run",
    [
        *("", "x", "job", "job-0", "job-0-2", "job-9-1", "job-00-1", "job-0-1 ", "job--1-1"),
        *("no-0-1", f"job-0-{2**64}", "job-0-" + "9" * 5000, "job-0-\u0661", "job-0x0-1", "\0"),
    ],
)
def test_nobody_knows_a_run_that_there_is_not(path, run):
    async def work(queue):
        await queue.add(JobSpec(sweep(1)), job_id="job")
        await work_off(queue)
        assert (await queue.attempt("job-0-1")).state is RunState.DONE
        with pytest.raises(UnknownRunError):
            await queue.attempt(run)

    with_queue(path, work)


def test_the_runs_of_a_set_that_no_document_holds_are_told_too(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(FakeVariants(2, 2)))
        await queue.settle(ended(await queue.claim(TARGET)))
        await queue.claim(TARGET)
        await queue.pause(job_id)
        done, running = await queue.runs(job_id)
        assert (done.variant, done.parameters) == (0, {})
        assert (running.variant, running.parameters) == (None, None)

    with_queue(path, work)


def test_a_job_gives_its_document_back(path):
    async def work(queue):
        taskset = sweep(3, deadline=5)
        assert await queue.document(await queue.add(JobSpec(taskset))) == taskset.to_document()
        assert await queue.document(await queue.add(JobSpec(FakeVariants(1, 1)))) is None
        for read in (queue.document("no"), queue.runs("no"), queue.attempts_feed(job="no")):
            with pytest.raises(UnknownJobError):
                await read

    with_queue(path, work)


def test_binaries_in_use_are_those_of_all_jobs_that_there_are(path):
    async def work(queue):
        other = "cd" * 32
        one = await queue.add(JobSpec(sweep(1), binaries={"hey": DIGEST, "pi": other}))
        two = await queue.add(JobSpec(sweep(1), binaries={"hey": DIGEST}))
        assert await queue.binaries_in_use() == {DIGEST, other}
        assert (await queue.claim(TARGET)).binaries == {"hey": DIGEST, "pi": other}
        await queue.cancel(two)
        await queue.delete(two)
        assert await queue.binaries_in_use() == {DIGEST, other}
        await queue.settle(ended(await asyncio.wait_for(_last(queue, one), 10)))
        await queue.delete(one)
        assert await queue.binaries_in_use() == set()

    async def _last(queue, job_id):
        (claim,) = queue._claims.values()
        return claim.work.run(claim)

    with_queue(path, work)


def test_a_hash_that_is_none_is_refused():
    for wrong in ("ab", "AB" * 32, "zz" * 32, "../../etc/passwd", DIGEST + "\n"):
        with pytest.raises(ValueError, match="SHA-256"):
            JobSpec(sweep(1), binaries={"hey": wrong})


def test_priority_and_name_can_be_changed_until_the_end(tmp_path):
    async def work(queue):
        low = await queue.add(JobSpec(sweep(2), name="low"))
        high = await queue.add(JobSpec(sweep(2), name="high", priority=5))
        assert (await queue.claim(TARGET)).job_id == high
        await queue.change(low, priority=9, name="now the highest")
        assert (await queue.claim(TARGET)).job_id == low
        await queue.cancel(high)
        with pytest.raises(StateError, match="cancelled"):
            await queue.change(high, priority=1)
        with pytest.raises(UnknownJobError):
            await queue.change("no", name="x")
        return low, await queue.job(low)

    low, info = with_queue(tmp_path / "queue", work)
    assert (info.priority, info.name) == (9, "now the highest")

    async def again(queue):
        assert await queue.job(low) == replace(info, counts=(await queue.job(low)).counts)

    with_queue(tmp_path / "queue", again)


def test_what_is_not_changed_of_a_job_stays_and_what_is_comes_in_one_step(tmp_path):
    async def work(queue):
        job = await queue.add(JobSpec(sweep(1), name="a", priority=5))
        told = []

        async def look(ids):
            info = await queue.job(job)
            told.append((info.name, info.priority))

        looks = []
        queue.on_jobs_changed(lambda ids: looks.append(asyncio.ensure_future(look(ids))))
        await queue.change(job, name="b", priority=6)
        await queue.change(job, name="c")
        await queue.change(job, priority=7)
        await asyncio.gather(*looks)
        return set(told)

    steps = {("b", 6), ("c", 6), ("c", 7)}
    told = with_queue(tmp_path / "queue", work)
    assert ("c", 7) in told
    assert told <= steps


def test_whoever_listens_learns_of_each_change_after_it_is_on_the_disk(path):
    async def work(queue):
        heard = []
        queue.on_jobs_changed(lambda ids: heard.append(set(ids)))
        queue.on_jobs_changed(lambda ids: 1 / 0)  # nobody else suffers from it

        one = await queue.add(JobSpec(sweep(40)))
        assert heard == [{one}]
        other = await queue.add(JobSpec(sweep(1)), paused=True)
        runs = [await queue.claim(TARGET) for _ in range(40)]
        heard.clear()
        seen = []
        queue.on_jobs_changed(lambda ids: seen.append(queue.counts.done))
        await asyncio.gather(*(queue.settle(ended(run)) for run in runs))
        assert seen[-1] == 40
        assert len(heard) <= 3

        assert (await queue.wait_job(one)).state is JobState.DONE
        heard.clear()
        for change in (
            queue.change(other, name="b"),
            queue.change(other, priority=3),
            queue.resume(other),
            queue.pause(other),
            queue.cancel(other),
            queue.delete(other),
        ):
            await change
            assert any(other in ids for ids in heard)
            heard.clear()
        with pytest.raises(UnknownJobError):
            await queue.job(other)

    with_queue(path, work)

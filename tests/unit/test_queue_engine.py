"""Engine and queue together: targets go on at once, bad ones rest, a broken queue is told."""

import asyncio

import pytest
from queue_tools import sweep
from values import outcome

from taskgen.audience import Audience
from taskgen.breaker import FAILURES, REST_S
from taskgen.engine import UNSETTLED, Engine
from taskgen.errors import QueueError
from taskgen.events.handler import EventHandler
from taskgen.interfaces import FailureClass
from taskgen.queue import JobQueue, JobSpec


class Target:
    """Does what ``work`` says."""

    profile, usable = "linux-x86_64", True

    def __init__(self, name, work):
        self.name, self.work = name, work
        self.runs = []

    async def execute(self, run, emit):
        self.runs.append(run)
        await asyncio.sleep(0)
        return self.work(run)


class Recorder(EventHandler):
    def __init__(self):
        self.told = []

    def on_finish(self, run):
        self.told.append(run.id)


def good(run):
    return outcome()


def with_engine(work, tmp_path, **keys):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            await asyncio.wait_for(work(queue, Engine(queue, **keys)), 120)

    asyncio.run(main())


async def until(condition):
    for _ in range(60_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it has not come to that")


def serve(engine, target):
    return asyncio.create_task(engine.serve(target, asyncio.Event()))


def test_a_target_goes_on_while_its_outcomes_are_written_and_handlers_hear_in_order(tmp_path):
    recorder = Recorder()

    async def work(queue, engine):
        unsettled = 0

        def execute(run):
            nonlocal unsettled
            unsettled = max(unsettled, len(target.runs) - queue.counts.done)
            return outcome()

        target = Target("board", execute)
        await queue.add(JobSpec(sweep(3 * UNSETTLED)))
        await engine.serve(target, asyncio.Event())
        assert queue.counts.done == 3 * UNSETTLED
        assert 1 < unsettled <= UNSETTLED + 2
        await engine.close()
        assert recorder.told == [run.id for run in target.runs]

    with_engine(work, tmp_path, audience=Audience([recorder]))


def test_nothing_is_on_its_way_when_serving_ends(tmp_path):
    async def work(queue, engine):
        retire = asyncio.Event()

        def execute(run):
            retire.set()
            return outcome()

        await queue.add(JobSpec(sweep(5)))
        await engine.serve(Target("board", execute), retire)
        assert (queue.counts.done, queue.counts.running) == (1, 0)

    with_engine(work, tmp_path)


def test_one_broken_target_costs_no_variant_and_is_taken_out(tmp_path):
    now = 1000.0

    async def work(queue, engine):
        nonlocal now
        broken = Target("broken", lambda run: outcome(FailureClass.GUEST, target="broken"))
        sound = Target("sound", good)
        await queue.add(JobSpec(sweep(200)))
        await asyncio.gather(serve(engine, broken), serve(engine, sound))
        assert (queue.counts.done, queue.counts.bad) == (200, 0)
        assert len(broken.runs) == FAILURES
        assert engine.resting == {"broken": REST_S}
        now += REST_S
        assert engine.resting == {}
        broken.work = good
        await queue.add(JobSpec(sweep(3)))
        await engine.serve(broken, asyncio.Event())
        assert queue.counts.done == 203

    with_engine(work, tmp_path, clock=lambda: now)


def test_a_lone_broken_target_rests_and_is_probed(tmp_path, monkeypatch):
    monkeypatch.setattr("taskgen.breaker.REST_S", 0.001)

    async def work(queue, engine):
        target = Target("board", None)
        target.work = lambda run: outcome(
            FailureClass.GUEST if len(target.runs) <= FAILURES + 2 else None, target="board"
        )
        await queue.add(JobSpec(sweep(20)))
        await engine.serve(target, asyncio.Event())
        assert (queue.counts.done, queue.counts.bad) == (20, 0)
        assert queue.counts.failed_attempts == FAILURES + 2

    with_engine(work, tmp_path)


def test_targets_that_rest_leave_when_others_have_done_all(tmp_path):
    async def work(queue, engine):
        broken = Target("broken", lambda run: outcome(FailureClass.GUEST, target="broken"))
        also = Target("also", lambda run: outcome(FailureClass.GUEST, target="also"))
        job_id = await queue.add(JobSpec(sweep(60)))
        resting = [serve(engine, broken), serve(engine, also)]
        await until(lambda: len(engine.resting) == 2)
        await engine.serve(Target("sound", good), asyncio.Event())
        await asyncio.gather(*resting)
        assert (await queue.wait_job(job_id)).counts.done == 60

    with_engine(work, tmp_path)


def test_a_resting_target_can_be_retired(tmp_path):
    async def work(queue, engine):
        broken = Target("broken", lambda run: outcome(FailureClass.GUEST, target="broken"))
        await queue.add(JobSpec(sweep(60)))
        retire = asyncio.Event()
        serving = asyncio.create_task(engine.serve(broken, retire))
        await until(lambda: engine.resting)
        retire.set()
        await serving
        assert len(broken.runs) == FAILURES

    with_engine(work, tmp_path)


def test_an_engine_whose_queue_cannot_be_written_says_so(tmp_path):
    recorder = Recorder()

    async def work(queue, engine):
        original = queue.settle

        def settle(run):
            future = original(run)
            if run.variant.index == 3:  # the same result once more
                (job,) = queue._open.values()
                queue._committer.batch.attempts.append((job.number, 3, run, False))
            return future

        queue.settle = settle
        await queue.add(JobSpec(sweep(500)))
        with pytest.raises(QueueError, match="UNIQUE"):
            await engine.serve(Target("board", good), asyncio.Event())
        await engine.close()

    with_engine(work, tmp_path, audience=Audience([recorder]))
    assert len(recorder.told) < 500

"""Handlers of a daemon's jobs are told each attempt once, whatever becomes of the stream."""

import asyncio
import threading
from contextlib import asynccontextmanager

import pytest
from daemon_model import JOB, DaemonModel
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen.audience import Audience
from taskgen.client import AsyncClient
from taskgen.errors import DaemonUnreachableError, TaskSetError
from taskgen.events.handler import EventHandler
from taskgen.feed import Feed
from taskgen.job_request import JobRequest
from taskgen.queue.rows import run_id
from taskgen.remote import Remote
from taskgen.task import Task
from taskgen.taskset import TaskSet

PATIENCE_S = 30
VARIANTS = 4


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr("taskgen.client.stream.FIRST_DELAY_S", 0.001)
    monkeypatch.setattr("taskgen.client.stream.LONGEST_DELAY_S", 0.002)
    monkeypatch.setattr("taskgen.remote.AGAIN_S", 0.001)


class Recorder(EventHandler):
    def __init__(self):
        self.calls = []
        self.stopped = threading.Event()

    def on_start(self, run):
        self.calls.append(("start", run.id))

    def on_finish(self, run):
        assert run.outcome.target == "model"
        assert run.variant.tasks[0]["period"] == 10 + run.variant.index
        assert run.provenance == {"from": "the model"}
        self.calls.append(("finish", run.id))

    def on_stop(self, run, reason):
        self.calls.append(("stop", run.id))
        self.stopped.set()

    def on_bad(self, run, attempts):
        self.calls.append(("bad", run.id, len(attempts)))

    def of(self, kind):
        return [call[1] for call in self.calls if call[0] == kind]


class Listener(Recorder):
    """One that wants events too."""

    def on_event(self, run, event):
        self.calls.append(("event", run.id))


def tasks(variants=VARIANTS):
    return TaskSet([Task(pkg="hey", period=list(range(10, 10 + variants)))])


def model(variants=VARIANTS, **options):
    return DaemonModel(tasks(variants).to_document(), variants, **options)


@asynccontextmanager
async def connected(daemon):
    audience = Audience()
    async with AsyncClient(transport=daemon) as client, Feed(client).running() as feed:
        try:
            yield Remote(client, feed, audience, ())
        finally:
            await audience.close()


async def breathe():
    """Give the feed its turn, as far as it gets."""
    for _ in range(20):
        await asyncio.sleep(0)


def checked(calls, daemon):
    """Each attempt once, in the order in which they were kept; nothing ends that has not begun."""
    finished = [call[1] for call in calls if call[0] == "finish"]
    assert finished == [each["run"] for each in daemon.kept]
    bad = [call[1:] for call in calls if call[0] == "bad"]
    assert bad == [(each["run"], each["attempt"]) for each in daemon.kept if each["bad"]]
    begun, ended = set(), set()
    for kind, run, *_ in calls:
        if kind == "start":
            assert run not in begun | ended
            begun.add(run)
        elif kind == "event":
            assert run in begun
        elif kind in ("finish", "stop"):
            begun.remove(run)
            if kind == "finish":
                ended.add(run)
    assert not begun


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["run", "fail", "start", "event", "stop"]), st.integers(0, 3)),
        st.tuples(st.sampled_from(["cut", "kill", "breathe", "breathe", "flood"]), st.none()),
        st.tuples(st.just("lie"), st.tuples(st.floats(0, 1), st.floats(0, 1))),
    ),
    max_size=40,
)


def carry_out(daemon, step, argument):
    if step == "cut":
        daemon.cut()
    elif step == "kill":
        daemon.kill()
    elif step == "lie":
        daemon.lies = argument
    elif step == "flood":
        for _ in range(20):  # more than the model's ring holds
            daemon.bulletin.skip()
    elif argument in daemon.next_attempt:
        if argument not in daemon.running:
            daemon.start(argument)
        if step == "event":
            daemon.event(argument)
        elif step == "stop":
            daemon.stop(argument)
        elif step in ("run", "fail"):
            daemon.finish(argument, well=step == "run")


@pytest.mark.parametrize("kind", [Recorder, Listener])
@settings(max_examples=150, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 100))
def test_each_attempt_is_told_once_whatever_becomes_of_the_stream(kind, steps, seed):
    async def main():
        daemon, recorder = model(seed=seed), kind()
        async with connected(daemon) as backend:
            await backend.add_job(JobRequest(taskset=tasks()), [recorder])
            for step, argument in steps:
                if step == "breathe":
                    await breathe()
                else:
                    carry_out(daemon, step, argument)
            for position in sorted(daemon.next_attempt):
                carry_out(daemon, "run", position)
            async with asyncio.timeout(PATIENCE_S):
                await backend.wait_job(JOB)
            checked(recorder.calls, daemon)

    asyncio.run(main())


def in_loop(test):
    async def limited():
        async with asyncio.timeout(PATIENCE_S):
            await test()

    return lambda: asyncio.run(limited())


@in_loop
async def test_events_come_between_start_and_end_and_are_in_the_outcome():
    daemon, listener = model(2), Listener()
    outcomes = []
    listener.on_finish = lambda run: outcomes.append((run.id, len(run.outcome.events)))
    async with connected(daemon) as backend:
        await backend.add_job(JobRequest(taskset=tasks(2)), [listener])
        for position in (0, 1):
            daemon.start(position)
            daemon.event(position)
        daemon.event(0)
        daemon.finish(1)
        daemon.finish(0)
        await backend.wait_job(JOB)
    assert outcomes == [(run_id(JOB, 1, 1), 1), (run_id(JOB, 0, 1), 2)]
    assert listener.of("event") == [run_id(JOB, 0, 1), run_id(JOB, 1, 1), run_id(JOB, 0, 1)]


@in_loop
async def test_what_is_told_while_a_job_is_added_is_not_lost():
    daemon, recorder = model(1), Listener()
    async with connected(daemon) as backend:
        daemon.prompt.clear()
        adding = asyncio.create_task(backend.add_job(JobRequest(taskset=tasks(1)), [recorder]))
        await breathe()
        daemon.start(0)
        daemon.event(0)
        await breathe()
        daemon.prompt.set()
        await adding
        daemon.finish(0)
        await backend.wait_job(JOB)
        assert [call[0] for call in recorder.calls] == ["start", "event", "finish"]


@in_loop
async def test_a_run_that_a_dead_daemon_had_begun_is_stopped_and_told_as_begun_anew():
    daemon, recorder = model(1), Recorder()
    async with connected(daemon) as backend:
        await backend.add_job(JobRequest(taskset=tasks(1)), [recorder])
        daemon.start(0)
        await breathe()
        daemon.down = True
        daemon.kill()
        await asyncio.sleep(0.02)
        daemon.down = False
        assert await asyncio.to_thread(recorder.stopped.wait, PATIENCE_S)
        assert recorder.calls[-1] == ("stop", run_id(JOB, 0, 1))
        daemon.start(0)
        daemon.finish(0)
        await backend.wait_job(JOB)
    assert [call[0] for call in recorder.calls] == ["start", "stop", "start", "finish"]


@in_loop
async def test_an_event_that_comes_twice_is_told_once():
    daemon, recorder = model(1), Recorder()
    daemon.lies = (0.0, 1.0)
    async with connected(daemon) as backend:
        await backend.add_job(JobRequest(taskset=tasks(1)), [recorder])
        daemon.start(0)
        await breathe()
        daemon.finish(0)
        await backend.wait_job(JOB)
    assert [call[0] for call in recorder.calls] == ["start", "finish"]


@in_loop
async def test_a_wait_outlives_a_daemon_that_is_away():
    daemon, recorder = model(3), Recorder()
    async with connected(daemon) as backend:
        await backend.add_job(JobRequest(taskset=tasks(3)), [recorder])
        waiting = asyncio.create_task(backend.wait_job(JOB))
        await breathe()
        daemon.down = True
        daemon.kill()
        for position in range(3):
            daemon.start(position)
            daemon.finish(position)
        await asyncio.sleep(0.02)
        assert not waiting.done()
        daemon.down = False
        assert (await waiting).counts.done == 3
        checked(recorder.calls, daemon)


@in_loop
async def test_a_handler_that_comes_later_is_told_the_past_once_and_the_present():
    daemon, first, second = model(3), Recorder(), Recorder()
    async with connected(daemon) as backend:
        await backend.add_job(JobRequest(taskset=tasks(3)), [first])
        for step in (("run", 0), ("fail", 1), ("start", 2)):
            carry_out(daemon, *step)
        await breathe()
        daemon.lies = (1.0, 0.0)
        carry_out(daemon, "fail", 1)  # kept, and not told yet
        await backend.add_handler(JOB, second)
        await backend.add_handler(JOB, second)
        carry_out(daemon, "run", 2)
        await backend.wait_job(JOB)
    for recorder in (first, second):
        checked(recorder.calls, daemon)


@in_loop
async def test_a_handler_of_a_job_that_has_ended_is_told_all_of_it():
    daemon, recorder = model(), Recorder()
    for position in range(VARIANTS):
        carry_out(daemon, "run", position)
    async with connected(daemon) as backend:
        await backend.add_handler(JOB, recorder)
    checked(recorder.calls, daemon)


@in_loop
async def test_closing_tells_the_handlers_what_they_will_not_see_the_end_of():
    daemon, recorder = model(1), Recorder()
    async with connected(daemon) as backend:
        await backend.add_job(JobRequest(taskset=tasks(1)), [recorder])
        daemon.start(0)
        await breathe()
    assert recorder.calls[-1] == ("stop", run_id(JOB, 0, 1))


@in_loop
async def test_a_daemon_that_is_away_when_a_job_is_added_is_told_at_once():
    daemon = model()
    daemon.down = True
    async with connected(daemon) as backend:
        for handlers in ([], [Recorder()]):
            with pytest.raises(DaemonUnreachableError):
                await backend.add_job(JobRequest(taskset=tasks()), handlers)


class Odd(TaskSet):
    def variants(self, **options):
        return super().variants(where=lambda variant: variant.index % 2, **options)


@pytest.mark.parametrize(
    "taskset",
    [
        Odd([Task(pkg="hey")]),
        tasks().variants(),
        TaskSet([Task(pkg="hey", period=(number for number in range(10, 20)))]),
    ],
)
def test_what_no_document_can_hold_is_refused(taskset):
    async def main():
        async with connected(model()) as backend:
            with pytest.raises(TaskSetError, match=r"given to the daemon.*without connect"):
                await backend.add_job(JobRequest(taskset=taskset), [])

    asyncio.run(main())


def test_a_number_that_makes_no_sense_is_refused_as_it_is_without_a_daemon():
    async def main():
        async with connected(model()) as backend:
            with pytest.raises(ValueError, match="tries"):
                await backend.add_job(JobRequest(taskset=tasks(), tries=0), [])

    asyncio.run(main())

"""One run over a real socket: each way in which it can end has its outcome."""

import asyncio
from dataclasses import replace

import pytest
from values import run

from taskgen.exchange import Exchange
from taskgen.interfaces import FailureClass, SessionSettings
from taskgen.protocol import Binary, Optimize
from taskgen.session import Limits, Session
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing import FakeTaskloader, Faults

HEY = Binary("hey", b"\x7fELF")
LIMITS = Limits(connect_s=30, answer_s=30)


def one_run(*tasks, **settings):
    variant = TaskSet(tasks or [task(numberofjobs=3)]).variants()[0]
    values = {"slack_s": 1.0, "margin": 1.0, **settings}
    return replace(run(variant=variant), settings=SessionSettings(**values))


def task(**keys):
    return Task({"pkg": "hey", "period": 20, **keys})


def perform(the_run, binaries=(HEY,), *, then=None, **fake):
    """The outcome, the events that were told, and the fake after it."""

    async def main():
        told = []
        async with (
            FakeTaskloader(**fake) as server,
            await Session.open("board-7", server.connect, limits=LIMITS) as session,
        ):
            outcome = await Exchange(session, the_run, binaries, told.append).perform()
            if then:
                await then(session)
            return outcome, told, server

    return asyncio.run(main())


def test_a_run_that_goes_well_is_a_result_with_all_its_activations():
    outcome, told, server = perform(one_run())
    assert (outcome.failure, outcome.reason, outcome.target) == (None, "", "board-7")
    assert [a.exit for a in outcome.activations] == ["EXIT"] * 3
    assert [a.release_us for a in outcome.activations] == [20_000, 40_000, 60_000]
    assert list(outcome.events) == told
    assert told[-1].type == "JOBS_DONE"
    assert server.binaries == {"hey": b"\x7fELF"}
    assert outcome.duration_s >= 0.06
    assert outcome.started_at > 1.7e9


def test_what_is_measured_is_measured_from_the_start_to_the_outcome():
    happened = []

    def measure():
        happened.append("begun")
        return lambda: {"vcpu_wait_ms": 7.5, "events": happened.count("told")}

    async def main():
        async with (
            FakeTaskloader() as server,
            await Session.open("board-7", server.connect, limits=LIMITS) as session,
        ):
            known = {"profile": "this one"}
            the_run = one_run()
            exchange = Exchange(
                *(session, the_run, [HEY], lambda event: happened.append("told")),
                provenance=known,
                measure=measure,
            )
            assert exchange.outcome(None).provenance == known  # never started: nothing measured
            outcome = await exchange.perform()
        assert happened[0] == "begun"
        assert outcome.provenance == {
            **known,
            "vcpu_wait_ms": 7.5,
            "events": happened.count("told"),
        }

    asyncio.run(main())


def test_a_guest_that_tells_milliseconds_only_gives_a_result_too():
    outcome, _, _ = perform(one_run(), precise=False)
    assert outcome.failure is None
    assert [a.release_us for a in outcome.activations] == [20_000, 40_000, 60_000]


def test_admission_control_data_go_out_as_optimize():
    _, _, server = perform(one_run(admission_control={"fairness": {"apply": 1}}), optimize=True)
    assert Optimize(b"<fairness><apply>1</apply></fairness>") in server.received


async def still_answers(session):
    await session.available()


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(unknown_event=True), "unknown event type"),
        (Faults(exit_without_start=True), "EXIT of task 1 without a START"),
        (Faults(early_jobs_done=True), "JOBS_DONE of task 1 after 0 of 3 activations"),
        (Faults(malformed_frame=True), "a frame that cannot be read"),
    ],
)
def test_what_does_not_fit_marks_the_run_as_bad_and_leaves_the_target_alone(faults, reason):
    outcome, told, _ = perform(one_run(), faults=faults, then=still_answers)
    assert outcome.failure is FailureClass.TASK
    assert reason in outcome.reason
    assert told


def test_a_task_set_that_hangs_is_its_own_failure_and_is_stopped():
    outcome, _, _ = perform(
        one_run(slack_s=0.2), faults=Faults(hang_after_start=True), then=still_answers
    )
    assert outcome.failure is FailureClass.TASK
    assert outcome.reason.startswith("no JOBS_DONE of task 1 within")


@pytest.mark.parametrize(
    "faults", [Faults(drop_after_events=2), Faults(die_mid_frame=True), Faults(overlong_frame=True)]
)
def test_a_guest_that_breaks_off_is_to_blame_itself(faults):
    outcome, told, _ = perform(one_run(), faults=faults)
    assert outcome.failure is FailureClass.GUEST
    assert "board-7" in outcome.reason
    assert len(outcome.activations) <= len(told)


def test_a_guest_without_an_answer_after_the_time_limit_is_to_blame_itself():
    async def main():
        limits = Limits(connect_s=30, answer_s=1)
        async with (
            FakeTaskloader() as server,
            await Session.open("board-7", server.connect, limits=limits) as session,
        ):
            late = task(period=100, numberofjobs=50)

            def go_silent(event):
                server.faults = Faults(never_available=True)

            the_run = one_run(late, slack_s=0.0, margin=0.05)
            return await Exchange(session, the_run, [HEY], go_silent).perform()

    outcome = asyncio.run(main())
    assert outcome.failure is FailureClass.GUEST
    assert "AVAILABLE" in outcome.reason


def test_a_run_with_a_duration_is_stopped_and_is_a_result():
    endless = one_run(task(period=20, numberofjobs=0, executiontime=5), duration_s=0.3)
    outcome, _, _ = perform(endless, then=still_answers)
    assert (outcome.failure, outcome.reason) == (None, "")
    assert len(outcome.activations) >= 5


def test_an_activation_that_is_stopped_still_tells_its_end():
    long = one_run(task(period=0, numberofjobs=1, executiontime=60_000), duration_s=0.2)
    outcome, _, _ = perform(long, faults=Faults(late_exits_s=0.1), then=still_answers)
    assert outcome.failure is None
    assert [a.exit for a in outcome.activations] == ["EXIT_EXTERNAL"]

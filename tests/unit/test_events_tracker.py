"""Activations are put together exactly, and what does not fit is noted and loses nothing."""

import pytest
from values import event, task

from taskgen.events.model import Event
from taskgen.events.tracker import RunTracker, time_limit_s

START_US = 5_000_000  # the guest's clock when the run starts


def follow(tasks, events):
    tracker = RunTracker(tasks)
    for each in events:
        tracker.feed(each)
    return tracker


def test_a_told_release_rebases_the_clock_to_start():
    told = START_US + 100_000
    tracker = follow(
        [task()],
        [
            event("START", at_us=told + 70, release_us=told),
            event("EXIT", at_us=told + 900, cpu_us=800),
            event("JOBS_DONE", at_us=told + 900),
        ],
    )
    (only,) = tracker.activations()
    assert (only.release_us, only.start_us, only.end_us) == (100_000, 100_070, 100_900)
    assert (only.deadline_us, only.cpu_us, only.response_us) == (200_000, 800, 900)
    assert only.missed is False
    assert tracker.done
    assert tracker.problems == []


def test_a_told_release_of_zero_is_a_release():
    tracker = follow([task(period=0)], [event("START", at_us=30, release_us=0)])
    assert tracker.activations()[0].start_us == 30


def test_without_told_releases_the_most_punctual_start_rebases_the_clock():
    late, punctual = START_US + 50_000 + 300, START_US + 100_000
    tracker = follow(
        [task(1, period=50, numberofjobs=2), task(2, period=80)],
        [
            event("START", 1, late),
            event("EXIT", 1, late + 10),
            event("START", 1, punctual),
        ],
    )
    first, second = tracker.activations()
    assert (first.release_us, first.start_us) == (50_000, 50_300)
    assert (second.release_us, second.start_us) == (100_000, 100_000)


def test_a_guest_that_tells_milliseconds_only_is_understood():
    tracker = follow(
        [task(period=10)],
        [
            Event(type="START", task_id=1, time_stamp_ms=7010),
            Event(type="EXIT", task_id=1, time_stamp_ms=7013),
        ],
    )
    (only,) = tracker.activations()
    assert (only.release_us, only.start_us, only.end_us, only.cpu_us) == (10000, 10000, 13000, None)


def test_the_release_that_kills_an_activation_starts_nothing():
    tracker = follow(
        [task(period=10, numberofjobs=2)],
        [
            event("START", at_us=10_000),
            event("EXIT_PERIOD", at_us=20_000),
            event("START", at_us=30_000),
            event("EXIT", at_us=31_000),
            event("JOBS_DONE", at_us=31_000),
        ],
    )
    killed, second = tracker.activations()
    assert killed.missed is True
    assert (second.release_us, second.missed) == (30_000, False)
    assert tracker.problems == []


def test_a_refused_task_has_an_activation_that_never_ran_and_is_done():
    tracker = follow(
        [task(period=10, numberofjobs=5)], [event("NOT_SCHEDULED", at_us=0, release_us=10_000)]
    )
    (only,) = tracker.activations()
    assert (only.start_us, only.exit, only.missed) == (None, "NOT_SCHEDULED", None)
    assert tracker.done


def test_where_all_is_refused_that_was_at_start():
    tracker = follow([task(period=10)], [event("NOT_SCHEDULED", at_us=START_US)])
    assert [(a.release_us, a.end_us) for a in tracker.activations()] == [(10_000, 0)]


def test_a_refused_task_may_say_jobs_done_however_many_it_asked_for():
    tracker = follow(
        [task(numberofjobs=5)], [event("NOT_SCHEDULED"), event("JOBS_DONE"), event("JOBS_DONE")]
    )
    assert tracker.problems == ["second JOBS_DONE of task 1"]


def test_a_task_that_is_refused_once_and_released_later_is_not_done():
    tracker = follow(
        [task(period=10, numberofjobs=2)],
        [event("NOT_SCHEDULED", at_us=START_US), event("START", at_us=START_US + 20_000)],
    )
    assert not tracker.done
    assert [a.release_us for a in tracker.activations()] == [10_000, 20_000]


def test_an_explicit_deadline_goes_before_the_implicit_one():
    tracker = follow(
        [task(period=100, deadline=20)],
        [event("START", at_us=100_000, release_us=100_000), event("EXIT", at_us=120_001)],
    )
    assert tracker.activations()[0].deadline_us == 120_000
    assert tracker.activations()[0].missed is True


def test_a_task_without_period_and_deadline_has_nothing_to_miss():
    tracker = follow(
        [task(period=0)], [event("START", at_us=5, release_us=0), event("EXIT", at_us=9_000_000)]
    )
    assert tracker.activations()[0].missed is None


def test_a_task_without_period_has_one_activation_whatever_it_asks_for():
    tracker = follow(
        [task(period=0, numberofjobs=5)],
        [event("START"), event("EXIT", at_us=1), event("JOBS_DONE", at_us=1)],
    )
    assert tracker.done
    assert tracker.problems == []


@pytest.mark.parametrize("kind", ["EXIT_CRITICAL", "OUT_OF_QUOTA", "OUT_OF_CAPS"])
def test_what_was_killed_before_it_was_through_has_missed_its_deadline(kind):
    tracker = follow([task()], [event("START", at_us=100_000), event(kind, at_us=100_500)])
    assert tracker.activations()[0].missed is True


def test_what_we_stopped_ourselves_tells_nothing_of_its_deadline():
    tracker = follow(
        [task()], [event("START", at_us=100_000), event("EXIT_EXTERNAL", at_us=100_500)]
    )
    assert tracker.activations()[0].missed is None


def test_an_activation_that_is_still_open_is_reported_without_an_end():
    tracker = follow([task()], [event("START", at_us=100_000)])
    (only,) = tracker.activations()
    assert (only.end_us, only.response_us, only.exit, only.missed) == (None, None, "", None)
    assert not tracker.done
    assert tracker.waiting_for == [1]


def test_a_run_is_done_when_each_task_is():
    tracker = follow(
        [task(1), task(2)], [event("START", 1), event("EXIT", 1), event("JOBS_DONE", 1)]
    )
    assert not tracker.done
    assert tracker.waiting_for == [2]


@pytest.mark.parametrize(
    ("events", "problem"),
    [
        ([event("BANANA")], "unknown event type 'BANANA' of task 1"),
        ([event("EXIT")], "EXIT of task 1 without a START"),
        ([event("START", 9)], "START of task 9, which is not in the set"),
        ([event("START"), event("JOBS_DONE")], "JOBS_DONE of task 1 after 0 of 1 activations"),
        ([event("START"), event("START")], "second START of task 1 without an exit between"),
        (
            [event("START"), event("EXIT"), event("JOBS_DONE"), event("JOBS_DONE")],
            "second JOBS_DONE of task 1",
        ),
        (
            [event("START"), event("EXIT"), event("JOBS_DONE"), event("START")],
            "START of task 1 after its JOBS_DONE",
        ),
    ],
)
def test_what_does_not_fit_is_noted_and_loses_nothing(events, problem):
    good = [
        event("START", 2, 100_000),
        event("EXIT", 2, 101_000),
        event("JOBS_DONE", 2, 101_000),
    ]
    tracker = follow([task(1), task(2)], [*events, *good])
    assert tracker.problems == [problem]
    assert [a.exit for a in tracker.activations() if a.task_id == 2] == ["EXIT"]


def test_the_time_limit_leaves_room_for_every_second_release_being_lost():
    tasks = [task(period=100, numberofjobs=3, offset=50), task(2, period=0, criticaltime=400)]
    assert time_limit_s(tasks, margin=2.0, slack_s=1.0) == pytest.approx(2 * 0.75 + 1)


def test_the_time_limit_of_a_single_activation_is_its_critical_time():
    assert time_limit_s(
        [task(period=0, offset=100, criticaltime=400)], margin=1.0, slack_s=0.0
    ) == pytest.approx(0.5)

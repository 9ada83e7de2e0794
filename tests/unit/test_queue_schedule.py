"""The decisions of the queue, by themselves."""

import pytest

from taskgen.interfaces import FailureClass, Outcome
from taskgen.queue.schedule import Candidate, choose, given_up, may_repeat
from taskgen.run_settings import Order

TASK, GUEST, MACHINE, INFRASTRUCTURE = FailureClass


def job(number, priority=0, running=0, served=0):
    return Candidate(number, priority, running, served)


@pytest.mark.parametrize(
    ("candidates", "fair", "fifo"),
    [
        ([], None, None),
        ([job(2), job(1)], 1, 1),
        ([job(1), job(2, priority=1)], 2, 2),
        ([job(1, running=2), job(2, running=1)], 2, 1),
        ([job(1, served=7), job(2, served=3)], 2, 1),
        ([job(1, priority=1, running=9), job(2)], 1, 1),
        ([job(1, priority=-1), job(2, priority=-2)], 1, 1),
    ],
)
def test_which_job_gets_the_target(candidates, fair, fifo):
    for order, number in ((Order.FAIR, fair), (Order.FIFO, fifo)):
        chosen = choose(candidates, order)
        assert (chosen and chosen.number) == number


def test_jobs_share_targets_equally_however_long_their_runs_last():
    """Job 1's runs end at once, job 2's never: each gets its half of eight targets."""
    running = {1: 0, 2: 0}
    for _ in range(8):
        chosen = choose([job(number, running=running[number]) for number in running], Order.FAIR)
        running[chosen.number] += 1
    assert running == {1: 4, 2: 4}


@pytest.mark.parametrize(
    ("failures", "tries", "expected"),
    [
        ([], 1, False),
        ([TASK], 1, True),
        ([TASK], 2, False),
        ([GUEST, MACHINE], 1, False),
        ([GUEST, MACHINE, INFRASTRUCTURE], 1, True),
        ([GUEST, GUEST, TASK, GUEST, GUEST], 2, False),
        ([TASK, GUEST, GUEST, GUEST], 2, True),
        ([GUEST, GUEST, TASK, TASK], 2, True),
    ],
)
def test_when_a_variant_is_set_aside(failures, tries, expected):
    outcomes = [Outcome(target="a", failure=each, started_at=1.0) for each in failures]
    assert given_up(outcomes, tries) is expected


@pytest.mark.parametrize(
    ("failure", "times", "expected"),
    [
        (MACHINE, 17, False),
        (MACHINE, 20, True),
        (INFRASTRUCTURE, 17, False),
        (INFRASTRUCTURE, 20, True),
        (GUEST, 3, True),  # it may have had the description already
        (TASK, 3, True),
    ],
)
def test_what_failed_before_it_was_begun_is_not_to_blame(failure, times, expected):
    outcomes = [Outcome(target="a", failure=failure)] * times
    assert given_up(outcomes, 3) is expected
    begun = [Outcome(target="a", failure=MACHINE, started_at=1.0)] * 2
    assert given_up([*begun, *outcomes], 3) is expected


def test_failures_before_the_beginning_do_not_hide_those_after_it():
    begun = Outcome(target="a", failure=MACHINE, started_at=1.0)
    before = Outcome(target="a", failure=INFRASTRUCTURE)
    assert not given_up([begun, before, begun, before], 3)
    assert given_up([begun, before, begun, before, begun], 3)


@pytest.mark.parametrize(
    ("target", "failed_on", "others", "expected"),
    [
        ("a", set(), ["b"], True),
        ("a", {"a"}, ["b"], False),
        ("a", {"a"}, [], True),
        ("a", {"a", "b"}, ["b"], True),
        ("a", {"a", "b"}, ["b", "c"], False),
        ("c", {"a", "b"}, ["a", "b"], True),
    ],
)
def test_who_may_repeat_what_failed(target, failed_on, others, expected):
    assert may_repeat(target, failed_on, others) is expected

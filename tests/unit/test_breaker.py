"""A target on which nothing goes well rests, and is probed; a bad task-set takes no target out."""

import pytest

from taskgen.breaker import FAILURES, LONGEST_REST_S, REST_S, Breaker, Failed
from taskgen.interfaces import FailureClass


def failed(number, failure=FailureClass.GUEST, job="job"):
    return Failed(job, number, failure)


def after(*runs, now=100.0):
    breaker = Breaker()
    for run in runs:
        breaker = breaker.after(run, now)
    return breaker


def test_five_failures_of_different_variants_take_a_target_out():
    assert FAILURES == 5
    assert after(*map(failed, range(4))).rest_s(100.0) == 0
    assert after(*map(failed, range(5))).rest_s(100.0) == REST_S


def test_the_same_variant_again_and_again_is_to_blame_itself():
    assert after(*[failed(1)] * 20).rest_s(100.0) == 0


def test_a_run_that_goes_well_ends_the_row():
    runs = [failed(number) for number in range(4)]
    assert after(*runs, None, *runs).rest_s(100.0) == 0


def test_what_a_task_set_did_counts_only_where_every_job_is_another():
    task = FailureClass.TASK
    one_job = [failed(number, task) for number in range(20)]
    assert after(*one_job).rest_s(100.0) == 0
    many = [failed(0, task, job=f"job {number}") for number in range(5)]
    assert after(*many).rest_s(100.0) == REST_S


@pytest.mark.parametrize("late_s", [0.0, 1000.0])
def test_a_probe_that_fails_makes_the_rest_longer_up_to_a_limit(late_s):
    breaker, now = after(*map(failed, range(5))), 100.0
    rests = []
    for number in range(10):
        rests.append(breaker.rest_s(now))
        now += rests[-1] + late_s
        assert breaker.rest_s(now) == 0
        breaker = breaker.after(failed(number), now)
    assert rests[:3] == [REST_S, 2 * REST_S, 4 * REST_S]
    assert rests[-1] == LONGEST_REST_S


def test_a_probe_that_goes_well_brings_the_target_back():
    breaker = after(*map(failed, range(5))).after(None, 200.0)
    assert breaker == Breaker()

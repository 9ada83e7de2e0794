"""Priorities of generated task-sets, and the analysis that they rest on."""

from __future__ import annotations

import itertools
import random

import pytest

from taskgen.generators.priorities import (
    audsley,
    deadline_monotonic,
    rate_monotonic,
)
from taskgen.generators.response_time import Load, meets_deadline


def simulated(tasks, priorities, until):
    """Whether all deadlines are met in a simulation, one unit of time after the other."""
    pending = []
    for now in range(until):
        for task, priority in zip(tasks, priorities, strict=True):
            if now % task.period == 0:
                pending.append([priority, now, now + task.deadline, task.execution])
        pending.sort()
        if any(deadline <= now and left for _, _, deadline, left in pending):
            return False
        if pending:
            pending[0][3] -= 1
            if pending[0][3] == 0:
                del pending[0]
    return not any(deadline <= until for _, _, deadline, _ in pending)


def small_sets(arbitrary, count=300):
    rng = random.Random(4)
    for _ in range(count):
        tasks = []
        for _ in range(rng.randint(1, 3)):
            period = rng.choice([2, 3, 4, 6, 8, 12])
            execution = rng.randint(1, max(1, period // 2))
            deadline = rng.randint(execution, period * (2 if arbitrary else 1))
            tasks.append(Load(execution, period, deadline))
        yield tasks


def feasible(tasks, priorities):
    """Whether all deadlines are met on one processor with these priorities, all different."""
    return all(
        meets_deadline(
            task,
            [other for other, urgency in zip(tasks, priorities, strict=True) if urgency < priority],
        )
        for task, priority in zip(tasks, priorities, strict=True)
    )


@pytest.mark.parametrize("arbitrary", [False, True])
def test_the_analysis_agrees_with_a_simulation(arbitrary):
    verdicts = []
    for tasks in small_sets(arbitrary):
        priorities = list(range(len(tasks)))
        verdict = feasible(tasks, priorities)
        # The periods divide 24; four hyperperiods show every backlog that grows.
        assert verdict == simulated(tasks, priorities, 96), tasks
        verdicts.append(verdict)
    assert 50 < sum(verdicts) < 250


@pytest.mark.parametrize("arbitrary", [False, True])
def test_audsley_finds_an_assignment_wherever_there_is_one(arbitrary):
    found = 0
    for tasks in small_sets(arbitrary):
        exists = any(feasible(tasks, order) for order in itertools.permutations(range(len(tasks))))
        priorities = audsley(tasks)
        assert sorted(priorities) == list(range(len(tasks)))
        assert feasible(tasks, priorities) == exists, tasks
        found += exists
    assert found > 50


def test_deadline_monotonic_is_optimal_up_to_the_period():
    for tasks in small_sets(arbitrary=False):
        assert feasible(tasks, deadline_monotonic(tasks)) == feasible(tasks, audsley(tasks))


def test_ranks_are_stable():
    tasks = [Load(1, 20, 5), Load(1, 10, 9), Load(1, 20, 4)]
    assert rate_monotonic(tasks) == [1, 0, 2]
    assert deadline_monotonic(tasks) == [1, 2, 0]


def test_a_response_time_by_hand():
    # The example of Liu and Layland's bound exceeded: 3/7 + 3/12 + 5/20, all deadlines met.
    high, middle, low = Load(3, 7, 7), Load(3, 12, 12), Load(5, 20, 20)
    assert meets_deadline(low, [high, middle])
    assert not meets_deadline(Load(5, 20, 19), [high, middle])

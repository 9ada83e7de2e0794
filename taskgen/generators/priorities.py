"""How priorities are assigned. 0 is the most urgent; of equal tasks the first in the set is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from taskgen.errors import TaskSetError
from taskgen.generators.response_time import Load, meets_deadline
from taskgen.keys import KEYS

#: Fixed priorities that the protocol has.
LEVELS = (KEYS["priority"].maximum or 0) + 1


def rate_monotonic(tasks: Sequence[Load]) -> list[int]:
    """The shorter the period, the more urgent. Optimal for implicit deadlines.

    C. L. Liu and J. W. Layland, "Scheduling algorithms for multiprogramming in a hard-real-time
    environment", JACM 20(1), 1973, doi:10.1145/321738.321743.
    """
    return _ranks([task.period for task in tasks])


def deadline_monotonic(tasks: Sequence[Load]) -> list[int]:
    """The shorter the deadline, the more urgent. Optimal for deadlines up to the period.

    J. Y.-T. Leung and J. Whitehead, "On the complexity of fixed-priority scheduling of periodic,
    real-time tasks", Performance Evaluation 2(4), 1982, doi:10.1016/0166-5316(82)90024-4.
    """
    return _ranks([task.deadline for task in tasks])


def audsley(tasks: Sequence[Load]) -> list[int]:
    """Priorities under which all deadlines are met on one processor, if any such exist.

    Optimal also for deadlines over the period. Levels are filled from the least urgent on, each by
    a task that meets its deadline there; candidates are tried from the longest deadline on. Where
    none does, no assignment is feasible, and the rest is ordered by deadline.

    N. C. Audsley, "On priority assignment in fixed priority scheduling", Information Processing
    Letters 79(1), 2001, doi:10.1016/S0020-0190(00)00165-4.
    """
    order = sorted(range(len(tasks)), key=lambda number: tasks[number].deadline)
    priorities = [0] * len(tasks)
    for level in range(len(tasks) - 1, -1, -1):
        for number in reversed(order):
            others = [tasks[other] for other in order if other != number]
            if meets_deadline(tasks[number], others):
                break
        else:
            number = order[-1]
        order.remove(number)
        priorities[number] = level
    return priorities


#: The assignments by name.
ASSIGNMENTS: Mapping[str, Callable[[Sequence[Load]], list[int]]] = {
    "rate-monotonic": rate_monotonic,
    "deadline-monotonic": deadline_monotonic,
    "audsley": audsley,
}


def check_levels(n_tasks: int) -> None:
    """Refuse more tasks than there are priorities.

    :raises TaskSetError: if there are more.
    """
    if n_tasks > LEVELS:
        raise TaskSetError(f"{n_tasks} tasks: there are {LEVELS} priorities")


def _ranks(values: Sequence[int]) -> list[int]:
    order = sorted(range(len(values)), key=lambda number: values[number])
    ranks = [0] * len(values)
    for rank, number in enumerate(order):
        ranks[number] = rank
    return ranks

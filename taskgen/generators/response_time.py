"""Response times under preemptive fixed priorities on one processor.

For tasks that are independent, released together at worst, and not blocked. Times are integers in
any unit; context switches cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """One task: execution time, period, relative deadline, all in the same unit."""

    execution: int
    period: int
    deadline: int


def meets_deadline(task: Load, more_urgent: Sequence[Load]) -> bool:
    """Whether every activation of ``task`` ends in time beside all that are more urgent.

    Exact for any deadline: K. W. Tindell, A. Burns and A. J. Wellings, "An extendible approach for
    analyzing fixed priority hard real-time tasks", Real-Time Systems 6, 1994,
    doi:10.1007/BF01088593, section 2. For deadlines up to the period it comes to the first
    activation only: M. Joseph and P. Pandya, "Finding response times in a real-time system", The
    Computer Journal 29(5), 1986, doi:10.1093/comjnl/29.5.390.
    """
    number = 0
    while True:
        release = number * task.period
        end = _end((number + 1) * task.execution, more_urgent, release + task.deadline)
        if end is None:
            return False
        if end <= release + task.period:
            return True
        number += 1


def _end(own: int, more_urgent: Sequence[Load], limit: int) -> int | None:
    """When so much work is done, counted from the critical instant; ``None``: after ``limit``."""
    end = own + sum(other.execution for other in more_urgent)
    while end <= limit:
        work = own + sum(-(-end // other.period) * other.execution for other in more_urgent)
        if work == end:
            return end
        end = work
    return None

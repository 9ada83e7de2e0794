"""Which targets can run which task-sets, as far as the numbers of one variant tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def linux_guest_refuses(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why the reference guest would answer ``NOT_SCHEDULED``; empty if nothing speaks against it.

    It gives tasks with a deadline to ``SCHED_DEADLINE``, which knows no deadline over the period
    and no runtime of 0. Whether all of them fit onto its CPUs together is found out by the guest.
    Genode's servers take any deadline.

    :param tasks: those of one variant.
    """
    reasons = []
    for task in tasks:
        deadline, period, runtime = task["deadline"], task["period"], task["executiontime"]
        if not deadline:
            continue
        if runtime == 0:
            reasons.append(f"task {task['id']}: a deadline without an executiontime")
        elif period and deadline > period:
            reasons.append(f"task {task['id']}: deadline {deadline} ms over period {period} ms")
        elif runtime > deadline:
            reasons.append(
                f"task {task['id']}: executiontime {runtime} ms over deadline {deadline} ms"
            )
    return reasons

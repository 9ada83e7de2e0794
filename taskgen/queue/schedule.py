"""Who gets what next, and when a variant is given up. Pure: values in, decisions out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from taskgen.interfaces import FailureClass, Outcome
from taskgen.run_settings import Order

#: Failures in a row, none of them the task-set's own, after which a variant is set aside: it may be
#: what kills the machines, and would kill one after the other.
POISON_AFTER = 3

#: The same where some of them came before it was begun: it is not to blame for those, but this must
#: end some day.
HOPELESS_AFTER = 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the choice needs to know of a job that has something to hand out.

    :ivar number: its age: older jobs have smaller ones.
    :ivar running: its runs that are on targets now.
    :ivar served: when it was last given a target, on any counter that grows; 0: never.
    """

    number: int
    priority: int
    running: int
    served: int


def choose(candidates: Iterable[Candidate], order: Order) -> Candidate | None:
    """The job that gets the target; ``None`` if there is none."""
    if order is Order.FIFO:
        return min(candidates, key=lambda job: (-job.priority, job.number), default=None)
    return min(
        candidates,
        key=lambda job: (-job.priority, job.running, job.served, job.number),
        default=None,
    )


def given_up(failures: Sequence[Outcome], tries: int) -> bool:
    """Whether a variant that failed like this is set aside.

    :param failures: its attempts that count, oldest first.
    :param tries: attempts that it has, counting only failures of the task-set itself.
    """
    own = sum(each.failure is FailureClass.TASK for each in failures)
    others = list(
        itertools.takewhile(lambda each: each.failure is not FailureClass.TASK, failures[::-1])
    )
    poison = sum(map(_was_begun, others)) >= POISON_AFTER
    return own >= tries or poison or len(others) >= HOPELESS_AFTER


def _was_begun(failed: Outcome) -> bool:
    """Whether the target had anything of the variant when it failed, as far as is known."""
    before = (FailureClass.MACHINE, FailureClass.INFRASTRUCTURE)
    return failed.failure not in before or failed.started_at > 0


def may_repeat(target: str, failed_on: Collection[str], others: Iterable[str]) -> bool:
    """Whether ``target`` may have another go at a variant that failed on ``failed_on``.

    One that has not seen it goes first: else a single broken target could fail a good variant as
    often as it takes to set it aside. Where all have seen it, any may.

    :param others: the targets that could take it too.
    """
    return target not in failed_on or all(other in failed_on for other in others)

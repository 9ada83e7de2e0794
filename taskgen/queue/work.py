"""One job while it is worked off: what was begun of it, and what comes next. In memory."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from taskgen.errors import TaskSetError
from taskgen.interfaces import Counts, Outcome, Run, Variant
from taskgen.queue import rows
from taskgen.queue.schedule import Candidate, may_repeat
from taskgen.queue.source import Source
from taskgen.queue.values import ENDED, JobSpec, JobState

#: States in which runs are handed out.
ACTIVE = frozenset({JobState.QUEUED, JobState.RUNNING})

#: What stands for variants that nobody can count: as many as any fleet can take.
COUNTLESS = 2**31


@dataclass(slots=True, eq=False)
class Claim:
    """A variant that was begun, and is neither through nor set aside.

    :ivar attempt: the one that runs, or comes next.
    :ivar counts_from: earlier attempts do not count any more.
    :ivar failures: the outcomes of the attempts that count, all of them failures.
    """

    work: Work
    position: int
    attempt: int = 1
    counts_from: int = 1
    variant: Variant | None = None
    failures: list[Outcome] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, int]:
        return self.work.number, self.position

    def may_go_to(self, target: str, others: Iterable[str]) -> bool:
        """Whether ``target`` may have it; ``others`` could take it too."""
        failed_on = {outcome.target for outcome in self.failures}
        return may_repeat(target, failed_on, others)


@dataclass(slots=True)
class Unwritten:
    """By how much the database's counters are behind."""

    done: int = 0
    bad: int = 0
    failed_attempts: int = 0


@dataclass(slots=True, eq=False)
class Work:
    """One job.

    :ivar spec: as it was given; its task-set and its labels are not looked at any more.
    :ivar source: its variants; ``None`` once nothing can need them any more.
    :ivar cursor: positions below it have been begun.
    :ivar waiting: variants that were begun and wait for another attempt, the next one first.
    :ivar running: runs that were handed out and whose end is not on the disk yet.
    :ivar served: when it was last given a target.
    """

    number: int
    id: str
    spec: JobSpec
    resumable: bool
    source: Source | None
    state: JobState
    cursor: int
    total: int | None
    done: int = 0
    bad: int = 0
    failed_attempts: int = 0
    error: str = ""
    ended_at: float | None = None
    running: int = 0
    served: int = 0
    waiting: deque[Claim] = field(default_factory=deque)
    unwritten: Unwritten = field(default_factory=Unwritten)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def counts(self) -> Counts:
        return rows.counts(
            total=self.total,
            running=self.running,
            done=self.done,
            bad=self.bad,
            failed_attempts=self.failed_attempts,
            ended=self.state in ENDED,
        )

    @property
    def exhausted(self) -> bool:
        """Whether every variant was begun, as far as is known."""
        return self.source is None or self.source.ended(self.cursor)

    @property
    def backlog(self) -> int:
        """Runs that are not through and need a target, as far as they can be counted."""
        if self.state not in ACTIVE:
            return self.running
        left = self.counts.left
        if left is not None:
            return left
        return self.running + len(self.waiting) + (0 if self.exhausted else COUNTLESS)

    @property
    def candidate(self) -> Candidate:
        return Candidate(self.number, self.spec.priority, self.running, self.served)

    def offers(self, target: str, others: Iterable[str]) -> bool:
        """Whether there may be something for ``target``."""
        if self.state not in ACTIVE:
            return False
        return not self.exhausted or any(c.may_go_to(target, others) for c in self.waiting)

    def take(self, target: str, others: Iterable[str]) -> Claim | None:
        """The next variant for ``target``: one that waits and that it has not failed, else a new
        one, else one that it has failed.

        :raises TaskgenError: if the task-set fails to give it.
        """
        assert self.source is not None
        claim = self._again(target, others, failed_too=False) or self._new()
        claim = claim or self._again(target, others, failed_too=True)
        if claim is not None and claim.variant is None:
            claim.variant = self.source.at(claim.position)
        return claim

    def variant(self, position: int) -> Variant:
        """A variant, begun or not.

        :raises TaskSetError: if the task-set cannot give it (any more).
        """
        if self.source is None:
            raise TaskSetError(f"job {self.id}: no document holds its task-set")
        return self.source.at(position)

    def run(self, claim: Claim) -> Run:
        """The attempt that comes next for a claim."""
        assert claim.variant is not None
        return Run(
            id=rows.run_id(self.id, claim.position, claim.attempt),
            job_id=self.id,
            variant=claim.variant,
            attempt=claim.attempt,
            settings=self.spec.settings,
            profile=self.spec.profile,
            provenance=self.spec.provenance or {},
            binaries=self.spec.binaries,
        )

    def _again(self, target: str, others: Iterable[str], *, failed_too: bool) -> Claim | None:
        for claim in self.waiting:
            seen = any(outcome.target == target for outcome in claim.failures)
            if claim.may_go_to(target, others) and (failed_too or not seen):
                self.waiting.remove(claim)
                return claim
        return None

    def _new(self) -> Claim | None:
        assert self.source is not None
        given = self.source.next(self.cursor)
        if given is None:
            return None
        position, variant = given
        self.cursor = position + 1
        return Claim(self, position, variant=variant)

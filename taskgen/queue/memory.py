"""A queue in memory, for as long as the process lives."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from taskgen.errors import TaskgenError
from taskgen.interfaces import (
    Counts,
    FailureClass,
    Outcome,
    Run,
    SessionSettings,
    Target,
    Variant,
)

#: Failures in a row, none of them the task-set's own, after which a variant is given up: it may be
#: what kills the machines, and would kill one after the other.
POISON_AFTER = 3


class Variants(Protocol):
    """A lazy sequence of variants, or one that can only be walked."""

    @property
    def count(self) -> int | None: ...

    def __iter__(self) -> Iterator[Variant]: ...


@dataclass(slots=True)
class Job:
    """A task-set with all its variants.

    :ivar tries: attempts that a variant has, counting only failures of the task-set itself.
    """

    variants: Variants
    settings: SessionSettings = field(default_factory=SessionSettings)
    profile: str | None = None
    tries: int = 3
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:8])


@dataclass(slots=True)
class _Open:
    """A job that is being worked off."""

    job: Job
    upcoming: Iterator[Variant] = field(init=False)
    again: deque[Run] = field(default_factory=deque)
    exhausted: bool = False
    broken: TaskgenError | None = None

    def __post_init__(self) -> None:
        self.upcoming = iter(self.job.variants)

    def next(self) -> Run | None:
        """The next run: what was pushed back first, else the next variant.

        :raises TaskgenError: if the task-set fails to give it; from then on, always.
        """
        if self.again:
            return self.again.popleft()
        if self.broken:
            raise self.broken
        try:
            variant = next(self.upcoming, None)
        except TaskgenError as error:
            self.broken = error  # the iterator now looks exhausted; what it had left is not done
            raise
        if variant is not None:
            return Run(
                id=f"{self.job.id}-{variant.index}-1",
                job_id=self.job.id,
                variant=variant,
                attempt=1,
                settings=self.job.settings,
                profile=self.job.profile,
            )
        self.exhausted = True
        return None


class MemoryQueue:
    """Hands out the runs of its jobs, first job first, variants in their order."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Open] = {}
        self._running: dict[str, Run] = {}
        self._failures: dict[tuple[str, int], list[Outcome]] = {}
        self._done = self._bad = self._failed_attempts = 0
        self._total: int | None = 0
        self._change = asyncio.Event()

    @property
    def counts(self) -> Counts:
        running = len(self._running)
        total = self._total
        queued = None if total is None else total - self._done - self._bad - running
        return Counts(
            total=total,
            queued=queued,
            running=running,
            done=self._done,
            bad=self._bad,
            failed_attempts=self._failed_attempts,
        )

    @property
    def backlog(self) -> int:
        left = self.counts.left
        if left is not None:
            return left
        again = sum(len(job.again) for job in self._jobs.values())
        endless = any(not job.exhausted for job in self._jobs.values())
        # How many a walk will still give is unknown: as many as any fleet can take.
        return len(self._running) + again + (2**31 if endless else 0)

    def add(self, job: Job) -> None:
        """Queue all variants of a job."""
        self._jobs[job.id] = _Open(job)
        count = job.variants.count
        self._total = None if count is None or self._total is None else self._total + count
        self._notify()

    async def claim(self, target: Target) -> Run | None:
        for job in self._jobs.values():
            if job.job.profile not in (None, target.profile):
                continue
            if run := job.next():
                self._running[run.id] = run
                return run
        return None

    async def settle(self, run: Run) -> Sequence[Outcome]:
        assert run.outcome is not None
        job = self._release(run)
        key = (run.job_id, run.variant.index)
        try:
            if run.outcome.failure is None:
                self._failures.pop(key, None)
                self._done += 1
                return ()
            self._failed_attempts += 1
            failures = self._failures.setdefault(key, [])
            failures.append(run.outcome)
            if _given_up(failures, job.job.tries):
                del self._failures[key]
                self._bad += 1
                return tuple(failures)
            attempt = run.attempt + 1
            job.again.append(
                replace(
                    run,
                    id=f"{run.job_id}-{run.variant.index}-{attempt}",
                    attempt=attempt,
                    outcome=None,
                )
            )
            return ()
        finally:
            self._notify()

    async def push_back(self, run: Run) -> None:
        self._release(run).again.appendleft(run)
        self._notify()

    async def changed(self) -> None:
        await self._change.wait()

    def _release(self, run: Run) -> _Open:
        del self._running[run.id]
        return self._jobs[run.job_id]

    def _notify(self) -> None:
        # Whoever waits now is woken; whoever comes later waits for the next change.
        self._change.set()
        self._change = asyncio.Event()


def _given_up(failures: Sequence[Outcome], tries: int) -> bool:
    own = sum(outcome.failure is FailureClass.TASK for outcome in failures)
    others = list(
        itertools.takewhile(lambda o: o.failure is not FailureClass.TASK, reversed(failures))
    )
    return own >= tries or len(others) >= POISON_AFTER

"""What goes into the queue, and what it tells: plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from taskgen.interfaces import Counts, Outcome, SessionSettings, Variant
from taskgen.taskset import TaskSet


class VariantSource(Protocol):
    """Variants that somebody else makes: ``TaskSet.variants()``, or an object of the user's."""

    @property
    def count(self) -> int | None:
        """How many there are; ``None`` if that is not known."""

    def __iter__(self) -> Iterator[Variant]: ...


class JobState(StrEnum):
    """Where a job is in its life."""

    QUEUED = "queued"  #: nothing of it has run yet
    RUNNING = "running"  #: something of it has
    PAUSED = "paused"  #: no run is handed out until it is resumed
    CANCELLED = "cancelled"  #: by the user; results are kept
    DONE = "done"  #: every variant has a result or was set aside
    FAILED = "failed"  #: its task-set does not give its variants (any more)


#: States from which nothing more is handed out.
ENDED = frozenset({JobState.CANCELLED, JobState.DONE, JobState.FAILED})


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A task-set with all its variants, and how they are to be run.

    :ivar taskset: a :class:`TaskSet` is stored as its document where that can be, and such a job
        survives the process. Variants that were made already, and sets that no document can hold,
        run too, but only as long as the process lives.
    :ivar name: for people; default: the task-set's.
    :ivar labels: to find it by.
    :ivar priority: larger goes first; jobs of the same priority share the targets.
    :ivar offset: begin at this position.
    :ivar limit: so many variants at most.
    :ivar repeat: run each combination so often; only for a :class:`TaskSet`.
    :ivar tries: attempts that a variant has, counting only failures of the task-set itself.
    :ivar profile: the machine profile that the runs need; ``None``: any.
    :ivar provenance: goes into each run; default: what a :class:`TaskSet` tells of itself.
    :raises ValueError: for a number that makes no sense.
    """

    taskset: TaskSet | VariantSource
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    offset: int = 0
    limit: int | None = None
    repeat: int = 1
    tries: int = 3
    profile: str | None = None
    settings: SessionSettings = field(default_factory=SessionSettings)
    provenance: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for key, least in (("offset", 0), ("limit", 0), ("repeat", 1), ("tries", 1)):
            value = getattr(self, key)
            if value is not None and (not isinstance(value, int) or value < least):
                raise ValueError(f"{key} = {value!r}: must be a whole number from {least} on")
        if self.repeat != 1 and not isinstance(self.taskset, TaskSet):
            raise ValueError("repeat: give it to variants(), where these variants were made")
        for name, value in self.labels.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise ValueError(f"label {name!r} = {value!r}: must be texts")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """A job as it is now.

    :ivar resumable: whether it survives the process; false where no document can hold its
        task-set.
    :ivar provenance: what each of its runs says of its task-set.
    :ivar error: why it failed.
    :ivar added_at: seconds since the epoch, as is ``ended_at``.
    """

    id: str
    number: int
    name: str
    labels: Mapping[str, str]
    priority: int
    profile: str | None
    tries: int
    repeat: int
    settings: SessionSettings
    offset: int
    state: JobState
    error: str
    counts: Counts
    resumable: bool
    provenance: Mapping[str, Any]
    added_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt that has ended, as it was kept.

    :ivar sequence: grows from one kept attempt to the next; what to go on from.
    :ivar run_id: the id that the run had.
    :ivar position: of the variant in its job.
    :ivar variant: the variant's index in its task-set.
    :ivar attempt: 1 for the first.
    :ivar parameters: the values that vary, by ``<task id>.<key>``; ``None`` where only the job's
        document tells them, see :meth:`JobQueue.variant`.
    :ivar outcome: as it was told; events and console only of a failed one.
    """

    sequence: int
    run_id: str
    job_id: str
    position: int
    variant: int
    attempt: int
    parameters: Mapping[str, Any] | None
    outcome: Outcome


def total_of(counts: Sequence[Counts]) -> Counts:
    """The sum; what one of them does not know, the sum does not know either."""

    def known(values: list[int | None]) -> int | None:
        return None if None in values else sum(value or 0 for value in values)

    return Counts(
        total=known([each.total for each in counts]),
        queued=known([each.queued for each in counts]),
        running=sum(each.running for each in counts),
        done=sum(each.done for each in counts),
        bad=sum(each.bad for each in counts),
        failed_attempts=sum(each.failed_attempts for each in counts),
    )

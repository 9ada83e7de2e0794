"""What goes into the queue, and what it tells: plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from taskgen.binaries import SHA256
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
    :ivar binaries: task binaries that were uploaded for it, see :mod:`taskgen.binary_store`:
        SHA-256 by the ``pkg`` of the tasks. They go before those of the target's profile.
    :raises ValueError: for a number that makes no sense, or a hash that is none.
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
    binaries: Mapping[str, str] = field(default_factory=dict)

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
        for pkg, digest in self.binaries.items():
            if not isinstance(digest, str) or not SHA256.fullmatch(digest):
                raise ValueError(f"binary {pkg!r} = {digest!r}: must be a SHA-256, 64 hex digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    """A job as it is now.

    :ivar resumable: whether it survives the process; false where no document can hold its
        task-set.
    :ivar binaries: task binaries that were uploaded for it: SHA-256 by ``pkg``.
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
    binaries: Mapping[str, str]
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
    :ivar bad: with it the variant was set aside; that stays true if it is run again later.
    :ivar outcome: as it was told; events and console only of a failed one.
    """

    sequence: int
    run_id: str
    job_id: str
    position: int
    variant: int
    attempt: int
    parameters: Mapping[str, Any] | None
    bad: bool = False
    outcome: Outcome


class RunState(StrEnum):
    """Where an attempt at a variant is in its life."""

    WAITING = "waiting"  #: for a target
    RUNNING = "running"  #: on a target
    DONE = "done"  #: it has a result
    FAILED = "failed"  #: without a result; another attempt follows, or has
    BAD = "bad"  #: without a result, and the variant was given up


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """An attempt at a variant that was begun, and what else is known of that variant.

    :ivar id: of the run: ``<job>-<position>-<attempt>``.
    :ivar variant: the variant's index in its task-set; ``None`` where nothing tells it (any more).
    :ivar target: where it runs or ran; ``None`` while it waits.
    :ivar parameters: the values that vary; ``None`` where nothing tells them (any more).
    :ivar ended: what came of it; ``None``: it has not ended.
    :ivar attempts: all attempts at the variant that have ended, the first one first, without
        activations, events and console.
    """

    id: str
    job_id: str
    position: int
    variant: int | None
    attempt: int
    state: RunState
    target: str | None
    parameters: Mapping[str, Any] | None
    ended: Attempt | None
    attempts: tuple[Attempt, ...]


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

"""The values and the edges that the layers agree on. No behaviour here.

A run goes down (queue → engine → target), an outcome comes up; both are plain values, so that a
target may also live in another process or on another host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from taskgen.events.model import Activation, Event


class Variant(Protocol):
    """One combination of a task-set's values. Frozen."""

    @property
    def index(self) -> int:
        """Position among the task-set's variants, from 0."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The values that vary, by ``<task id>.<key>``, as in ``1.period``; empty for just one."""

    @property
    def tasks(self) -> Sequence[Mapping[str, Any]]:
        """The tasks, every key of the protocol page present, defaults filled in, values scalar."""

    def description(self) -> bytes:
        """The XML of ``SEND_DESCS``: ASCII, without a declaration."""


class FailureClass(StrEnum):
    """Who is to blame for a run without a result. Only ``TASK`` spends a job's tries."""

    TASK = "task"
    GUEST = "guest"
    MACHINE = "machine"
    INFRASTRUCTURE = "infrastructure"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How a run is carried out.

    :ivar admission_control: sent as ``OPTIMIZE`` to targets that know it; ``None``: not sent.
    :ivar duration_s: stop the run after so many seconds; needed where a task never ends.
    :ivar margin: factor on the time that a run can take by its own periods.
    :ivar slack_s: seconds added to that.
    """

    admission_control: Mapping[str, Any] | None = None
    duration_s: float | None = None
    margin: float = 1.5
    slack_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt at a run.

    :ivar target: name of the machine or board.
    :ivar failure: ``None`` if the run has a result.
    :ivar reason: what went wrong, for people; empty if nothing did.
    :ivar events: all events, in the order in which they came, also those of a failed run.
    :ivar activations: put together from the events; also those of a failed run.
    :ivar started_at: seconds since the epoch, this host's clock, when ``START`` was sent.
    :ivar duration_s: seconds from there to the end.
    :ivar console: last lines of the guest's console where the run failed.
    :ivar diagnosis: what was found out of the machine where the failure is not the task-set's: see
        :func:`taskgen.diagnosis.report`; empty: nothing was looked at.
    :ivar provenance: under which conditions it was measured (accelerator, QEMU version, …).
    """

    target: str
    failure: FailureClass | None
    reason: str = ""
    events: tuple[Event, ...] = ()
    activations: tuple[Activation, ...] = ()
    started_at: float = 0.0
    duration_s: float = 0.0
    console: str = ""
    diagnosis: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt at one variant on one target.

    :ivar id: unique for each attempt; what tells a repeat from a new one.
    :ivar attempt: 1 for the first.
    :ivar profile: the machine profile that the run needs; ``None``: any.
    :ivar provenance: what the job knows of the conditions: name, hash and seed of its task-set; see
        :func:`taskgen.provenance.of_taskset`.
    :ivar binaries: task binaries that were uploaded for it: SHA-256 by the ``pkg`` of the tasks;
        others are looked for where those of the target lie.
    :ivar outcome: set once the attempt has ended.
    """

    id: str
    job_id: str
    variant: Variant
    attempt: int
    settings: SessionSettings
    profile: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    binaries: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None


#: Receives each event the moment it arrives; must not block.
Emit = Callable[[Event], None]


class Target(Protocol):
    """Where a run can happen."""

    @property
    def name(self) -> str: ...

    @property
    def profile(self) -> str: ...

    @property
    def usable(self) -> bool:
        """Whether another run can be given to it."""

    async def execute(self, run: Run, emit: Emit) -> Outcome:
        """Carry out one run. Failures are outcomes, not exceptions; cancellation stops the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How far the runs of a queue are.

    :ivar total: variants in all; ``None`` where a task-set cannot tell.
    :ivar queued: variants that wait; ``None`` where ``total`` is.
    :ivar running: variants that a target carries out now.
    :ivar done: variants that have a result.
    :ivar bad: variants that were given up.
    :ivar failed_attempts: attempts without a result, those included that were made good later.
    """

    total: int | None
    queued: int | None
    running: int
    done: int
    bad: int
    failed_attempts: int

    @property
    def left(self) -> int | None:
        """Variants without a result that are not given up; ``None`` where that is unknown."""
        return None if self.queued is None else self.queued + self.running


class RunQueue(Protocol):
    """Holds the runs that are to be carried out, and what became of them."""

    @property
    def counts(self) -> Counts: ...

    @property
    def backlog(self) -> int:
        """Runs that are not through, as far as they can be counted; 0 only if there are none."""

    def backlog_for(self, profile: str) -> int:
        """The part of the backlog that targets of a profile can take."""

    def join(self, target: Target) -> None:
        """A target takes runs from now on; others may be given what it failed at."""

    def leave(self, target: Target) -> None:
        """A target takes no more runs."""

    async def claim(self, target: Target) -> Run | None:
        """The next run that fits ``target``; ``None`` if there is none now."""

    def settle(self, run: Run) -> Awaitable[Sequence[Outcome]]:
        """Keep ``run.outcome`` and release the claim; await it to know both on the disk.

        :returns: if the variant was thereby given up, the outcomes of its attempts; else nothing.
        """

    async def push_back(self, run: Run) -> None:
        """Release the claim on a run that was not carried out; it will be claimed again."""

    async def changed(self) -> None:
        """Wait until there may be something new to claim, or nothing more to wait for.

        From the call on: what happens before it is awaited is not missed.
        """

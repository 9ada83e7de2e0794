"""Events as a guest reports them, and activations as they are put together from events."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class EventType(StrEnum):
    """The types that the Taskloader protocol knows."""

    START = "START"
    EXIT = "EXIT"
    EXIT_CRITICAL = "EXIT_CRITICAL"
    EXIT_EXTERNAL = "EXIT_EXTERNAL"
    EXIT_PERIOD = "EXIT_PERIOD"
    EXIT_ERROR = "EXIT_ERROR"
    OUT_OF_CAPS = "OUT_OF_CAPS"
    OUT_OF_QUOTA = "OUT_OF_QUOTA"
    NOT_SCHEDULED = "NOT_SCHEDULED"
    JOBS_DONE = "JOBS_DONE"


#: Types that end an activation which a ``START`` began.
EXITS = frozenset(
    {
        EventType.EXIT,
        EventType.EXIT_CRITICAL,
        EventType.EXIT_EXTERNAL,
        EventType.EXIT_PERIOD,
        EventType.EXIT_ERROR,
        EventType.OUT_OF_CAPS,
        EventType.OUT_OF_QUOTA,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One ``<event>`` of a guest's frame.

    :ivar type: the type's name as the guest sent it; see :class:`EventType` for the known ones.
    :ivar task_id: the ``id`` of the task in its set.
    :ivar time_stamp_ms: milliseconds on the guest's own clock.
    :ivar time_us: the same instant in microseconds, where the guest tells it.
    :ivar release_us: when the activation was due, µs on the guest's clock, where the guest tells.
    :ivar cpu_us: CPU time that the activation used, µs, on exits, where the guest tells.
    """

    type: str
    task_id: int
    time_stamp_ms: int
    time_us: int | None = None
    release_us: int | None = None
    cpu_us: int | None = None

    @property
    def at_us(self) -> int:
        """The instant in µs on the guest's clock, as precise as the guest told it."""
        return self.time_stamp_ms * 1000 if self.time_us is None else self.time_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """One release of a task within a run. Times are µs on the guest's clock, 0 at ``START``.

    :ivar number: 1 for the task's first activation.
    :ivar start_us: when it began to run; ``None`` if it never did.
    :ivar end_us: when it ended; ``None`` if the run ended first.
    :ivar deadline_us: the absolute deadline, explicit or implicit; ``None`` if there is none.
    :ivar cpu_us: CPU time used; ``None`` where the guest does not tell.
    :ivar exit: the type of the event that ended it; empty if the run ended first.
    """

    task_id: int
    pkg: str
    number: int
    release_us: int
    start_us: int | None
    end_us: int | None
    deadline_us: int | None
    cpu_us: int | None
    exit: str

    @property
    def response_us(self) -> int | None:
        """Response time: from release to end."""
        return None if self.end_us is None else self.end_us - self.release_us

    @property
    def completed(self) -> bool:
        """Whether it ended by itself: neither killed, nor refused, nor cut off."""
        return self.exit in (EventType.EXIT, EventType.EXIT_ERROR)

    @property
    def missed(self) -> bool | None:
        """Whether the deadline was missed; ``None`` where that cannot be said.

        An activation that was killed before it was through (by its critical time, by the next
        release, for want of memory) has missed its deadline whenever it has one. One that was
        refused by admission control was never released, and one that we stopped ourselves
        before its deadline tells nothing.
        """
        if self.deadline_us is None or self.end_us is None:
            return None
        if self.exit == EventType.NOT_SCHEDULED:
            return None
        if self.end_us > self.deadline_us:
            return True
        if self.exit == EventType.EXIT_EXTERNAL:
            return None
        return not self.completed

"""Puts activations together from the events of one run, and knows when the run is over. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from taskgen.events.model import EXITS, Activation, Event, EventType

#: µs in a millisecond: the protocol's keys are in ms, activations in µs.
MS = 1000

# Every event is compared with these, and to find a member of an enumeration takes longer than that.
_START, _NOT_SCHEDULED, _JOBS_DONE = (
    kind.value for kind in (EventType.START, EventType.NOT_SCHEDULED, EventType.JOBS_DONE)
)

_by_release = attrgetter("release_us", "task_id", "number")


@dataclass(slots=True)
class _Raw:
    """An activation on the guest's own clock."""

    number: int
    tick: int
    told_release_us: int | None
    start_us: int | None = None
    end_us: int | None = None
    cpu_us: int | None = None
    exit: str = ""


@dataclass(slots=True)
class _Task:
    """What is known of one task while its run goes on."""

    id: int
    pkg: str
    period: int
    offset: int
    deadline: int
    jobs: int
    activations: list[_Raw] = field(default_factory=list)
    open: _Raw | None = None
    ticks: int = 0  # releases used up; a kill by the next release uses up one more
    refused: bool = False  # and nothing was released since
    told_done: bool = False

    @classmethod
    def of(cls, keys: Mapping[str, Any]) -> _Task:
        """From the keys of a variant's task."""
        return cls(
            id=int(keys["id"]),
            pkg=str(keys["pkg"]),
            period=int(keys["period"]),
            offset=int(keys["offset"]),
            deadline=int(keys.get("deadline") or 0),
            jobs=int(keys["numberofjobs"]),
        )

    @property
    def done(self) -> bool:
        """Whether nothing more is to come. A refused task may say so once and then nothing."""
        return self.told_done or self.refused

    @property
    def wanted(self) -> int:
        """Activations that the task will have; 0: it never ends."""
        # A period of 0 releases once, however many activations are asked for.
        return self.jobs if self.period else 1

    def due_us(self, tick: int) -> int:
        """Release ``tick`` (from 1), µs after ``START``: the first comes one period after it."""
        return MS * (self.offset + tick * self.period)

    def release(self, event: Event) -> _Raw:
        """The next activation, released by ``event``."""
        self.ticks += 1
        raw = _Raw(
            number=len(self.activations) + 1, tick=self.ticks, told_release_us=event.release_us
        )
        self.activations.append(raw)
        return raw

    def finished(self, raw: _Raw, base_us: int) -> Activation:
        """``raw`` on a clock that is 0 at ``base_us`` of the guest's."""
        told_us, start_us, end_us = raw.told_release_us, raw.start_us, raw.end_us
        release_us = self.due_us(raw.tick) if told_us is None else told_us - base_us
        relative_ms = self.deadline or self.period
        return Activation(
            task_id=self.id,
            pkg=self.pkg,
            number=raw.number,
            release_us=release_us,
            start_us=None if start_us is None else start_us - base_us,
            end_us=None if end_us is None else end_us - base_us,
            deadline_us=release_us + MS * relative_ms if relative_ms else None,
            cpu_us=raw.cpu_us,
            exit=raw.exit,
        )


@dataclass(slots=True)
class RunTracker:
    """Follows one run.

    An event that does not fit (unknown type, unknown task, an exit without a start, ``JOBS_DONE``
    too early) is noted in :attr:`problems` and marks the run as bad; the events beside it count.

    :ivar tasks: the tasks of the variant that runs.
    :ivar problems: what did not fit, for people.
    """

    tasks: Sequence[Mapping[str, Any]]
    problems: list[str] = field(default_factory=list)
    _state: dict[int, _Task] = field(init=False)

    def __post_init__(self) -> None:
        self._state = {task.id: task for task in map(_Task.of, self.tasks)}

    @property
    def done(self) -> bool:
        """Whether every task has said ``JOBS_DONE``, or was refused."""
        return not self.waiting_for

    @property
    def waiting_for(self) -> list[int]:
        """Ids of the tasks from which more is to come."""
        return [number for number, task in self._state.items() if not task.done]

    @property
    def running(self) -> bool:
        """Whether an activation has begun and not ended."""
        return any(task.open for task in self._state.values())

    def feed(self, event: Event) -> None:
        """Take the next event of the run."""
        task = self._state.get(event.task_id)
        if task is None:
            self.problems.append(f"{event.type} of task {event.task_id}, which is not in the set")
        elif event.type == _START:
            self._begin(task, event)
        elif event.type in EXITS:
            self._end(task, event)
        elif event.type == _NOT_SCHEDULED:
            raw = task.release(event)
            raw.end_us, raw.exit = event.at_us, event.type
            task.refused = True
        elif event.type == _JOBS_DONE:
            self._jobs_done(task, event)
        else:
            self.problems.append(f"unknown event type {event.type!r} of task {event.task_id}")

    def activations(self) -> tuple[Activation, ...]:
        """All activations so far, by their release; those still open have no end."""
        base_us = self._base_us()
        built = [
            task.finished(raw, base_us) for task in self._state.values() for raw in task.activations
        ]
        return tuple(sorted(built, key=_by_release))

    def _begin(self, task: _Task, event: Event) -> None:
        if task.open:
            self.problems.append(f"second START of task {event.task_id} without an exit between")
        task.refused = False
        if task.told_done:
            self.problems.append(f"START of task {event.task_id} after its JOBS_DONE")
        task.open = task.release(event)
        task.open.start_us = event.at_us

    def _end(self, task: _Task, event: Event) -> None:
        if not task.open:
            self.problems.append(f"{event.type} of task {event.task_id} without a START")
            return
        task.open.end_us, task.open.cpu_us = event.at_us, event.cpu_us
        task.open.exit = event.type
        task.open = None
        if event.type == EventType.EXIT_PERIOD:
            task.ticks += 1  # the release that killed it starts nothing

    def _jobs_done(self, task: _Task, event: Event) -> None:
        started = len(task.activations)
        if task.told_done:
            self.problems.append(f"second JOBS_DONE of task {event.task_id}")
        elif task.refused:
            pass  # however many activations it asked for, none will come
        elif task.open or not task.wanted or started < task.wanted:
            wanted = task.wanted or "endlessly many"
            self.problems.append(
                f"JOBS_DONE of task {event.task_id} after {started - bool(task.open)} of {wanted}"
                " activations"
            )
        task.told_done = True

    def _base_us(self) -> int:
        """The guest's clock at ``START``.

        A release that the guest told fixes it exactly. Without one, the earliest start is taken to
        have been punctual: then response times are short by that start's own latency. Where all
        tasks were refused, that was at ``START``.
        """
        pairs = [(task, raw) for task in self._state.values() for raw in task.activations]
        exact = [
            raw.told_release_us - task.due_us(raw.tick)
            for task, raw in pairs
            if raw.told_release_us is not None
        ]
        if exact:
            return min(exact)
        nearly = [
            raw.start_us - task.due_us(raw.tick) for task, raw in pairs if raw.start_us is not None
        ]
        refused = [raw.end_us for _, raw in pairs if raw.end_us is not None]
        return min(nearly or refused, default=0)


def time_limit_s(tasks: Sequence[Mapping[str, Any]], *, margin: float, slack_s: float) -> float:
    """Seconds that a run may take, from its own periods, activations, offsets and critical times.

    In the worst case each activation is killed by the next release, which then starts nothing
    (protocol): ``n`` activations use up ``2 n`` periods. A task without a period ends by its
    critical time; one that has neither is given its slack only.

    :param margin: factor on that; an emulator is slower than the clock of its guest.
    :param slack_s: seconds added.
    """
    longest_ms = 0
    for task in tasks:
        period, offset = int(task["period"]), int(task["offset"])
        activations = int(task["numberofjobs"]) if period else 1
        critical = int(task.get("criticaltime") or 0)
        longest_ms = max(longest_ms, offset + (2 * activations + 1) * period + critical)
    return longest_ms / 1000 * margin + slack_s

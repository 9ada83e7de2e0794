"""What a guest would tell of a task-set if each task had a processor of its own. No I/O."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from taskgen.errors import RemoteProtocolError
from taskgen.events.model import Event, EventType

_US_PER_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTask:
    """The keys of a task description that decide what happens when. All times in ms."""

    id: int
    pkg: str
    executiontime: int = 0
    criticaltime: int = 0
    period: int = 0
    offset: int = 0
    numberofjobs: int = 1


#: How long an activation would run if nothing stopped it, µs: of which task, and its number from 1.
Execution = Callable[[SimulatedTask, int], int]


def declared(task: SimulatedTask, _number: int) -> int:
    """Each activation takes the declared ``executiontime``."""
    return task.executiontime * _US_PER_MS


def read_tasks(description: bytes) -> tuple[SimulatedTask, ...]:
    """The tasks of a ``SEND_DESCS``.

    :raises RemoteProtocolError: if it cannot be understood.
    """
    try:
        root = ElementTree.fromstring(description)
        return tuple(_read_task(element) for element in root.iter("periodictask"))
    except (ElementTree.ParseError, ValueError) as error:
        raise RemoteProtocolError(f"SEND_DESCS: {error}") from error


def timeline(
    tasks: Sequence[SimulatedTask],
    *,
    binaries: Collection[str],
    execution: Execution = declared,
    refused: Collection[int] = (),
) -> Iterator[Event]:
    """All events of a run in the order of their times, which count from ``START``.

    :param binaries: names that were uploaded; a task whose binary is missing says nothing at all.
    :param refused: ids of tasks that admission control refuses.
    """
    histories = (
        _refusals(task) if task.id in refused else _history(task, execution)
        for task in tasks
        if task.pkg in binaries
    )
    return heapq.merge(*histories, key=lambda event: event.at_us)


def _read_task(element: ElementTree.Element) -> SimulatedTask:
    def number(key: str, default: int) -> int:
        return int(element.findtext(key) or default)

    return SimulatedTask(
        id=number("id", 0),
        pkg=element.findtext("pkg", ""),
        executiontime=number("executiontime", 0),
        criticaltime=number("criticaltime", 0),
        period=number("period", 0),
        offset=number("offset", 0),
        numberofjobs=number("numberofjobs", 0),
    )


def _releases(task: SimulatedTask) -> Iterator[int]:
    """Instants of release in µs: the first comes one period after the offset; none after 0."""
    release_ms = task.offset + task.period
    yield release_ms * _US_PER_MS
    while task.period:
        release_ms += task.period
        yield release_ms * _US_PER_MS


def _history(task: SimulatedTask, execution: Execution) -> Iterator[Event]:
    releases = _releases(task)
    for number, release_us in enumerate(releases, start=1):
        duration_us, outcome = execution(task, number), EventType.EXIT
        if 0 < task.criticaltime * _US_PER_MS < duration_us:
            duration_us, outcome = task.criticaltime * _US_PER_MS, EventType.EXIT_CRITICAL
        if 0 < task.period * _US_PER_MS < duration_us:
            duration_us, outcome = task.period * _US_PER_MS, EventType.EXIT_PERIOD
            next(releases)  # the release that kills starts nothing
        end_us = release_us + duration_us
        yield _event(task, EventType.START, release_us, release_us)
        yield _event(task, outcome, end_us, release_us, cpu_us=duration_us)
        if number == task.numberofjobs or not task.period:
            yield _event(task, EventType.JOBS_DONE, end_us)
            return


def _refusals(task: SimulatedTask) -> Iterator[Event]:
    for number, release_us in enumerate(_releases(task), start=1):
        yield _event(task, EventType.NOT_SCHEDULED, release_us, release_us)
        if number == task.numberofjobs or not task.period:
            yield _event(task, EventType.JOBS_DONE, release_us)
            return


def _event(
    task: SimulatedTask,
    event_type: EventType,
    at_us: int,
    release_us: int | None = None,
    cpu_us: int | None = None,
) -> Event:
    return Event(
        type=event_type.value,
        task_id=task.id,
        time_stamp_ms=at_us // _US_PER_MS,
        time_us=at_us,
        release_us=release_us,
        cpu_us=cpu_us,
    )

"""The prototypes' monitors: objects with ``__taskset_start__`` and its siblings.

They know a task-set that fills up while it runs. :class:`LegacyTaskSet` looks like it; what the
prototypes' session and distributor did to the real one, :class:`LegacyMonitor` does to this.
docs/handlers.md says what is alike and what is not.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskgen.events.handler import EventHandler
from taskgen.events.model import EXITS, Event, EventType
from taskgen.frozen import thaw
from taskgen.interfaces import Outcome, Run

#: The hooks of a monitor. The last came late: few have it.
HOOKS = (
    "__taskset_start__",
    "__taskset_event__",
    "__taskset_finish__",
    "__taskset_stop__",
    "__taskset_bad__",
)


@dataclass(slots=True)
class LegacyJob:
    """What the prototypes called a job: one activation. Dates: ms on the guest's own clock."""

    start_date: int | None = None
    end_date: int | None = None
    exit_value: str | None = None


class LegacyTask(dict[str, Any]):
    """The keys of a task, plain and changeable, and what became of it.

    ``task["jobs"]`` is the form of the last prototypes: ``{1: (start, end, exit value), …}``.

    :ivar jobs: the activations so far.
    :ivar events: the time of the latest event of each type, as the first prototypes had it.
    """

    def __init__(self, keys: Mapping[str, Any]) -> None:
        super().__init__(thaw(keys))
        self.jobs: list[LegacyJob] = []
        self.events: dict[str, int] = {}

    @property
    def id(self) -> int:
        return int(self["id"])

    def __missing__(self, key: str) -> Any:
        if key != "jobs":
            raise KeyError(key)
        return {
            number: (job.start_date, job.end_date, job.exit_value)
            for number, job in enumerate(self.jobs, 1)
        }

    def note(self, event: Event) -> None:
        """Do what the prototypes' session did with an event."""
        time_ms = event.time_stamp_ms
        self.events[event.type] = time_ms
        if event.type in (EventType.START, EventType.NOT_SCHEDULED):
            self.jobs.append(LegacyJob(start_date=time_ms))
        elif event.type in EXITS and (not self.jobs or self.jobs[-1].end_date is not None):
            self.jobs.append(LegacyJob())  # an exit without a start: kept all the same
        if event.type in EXITS or event.type == EventType.NOT_SCHEDULED:
            self.jobs[-1].end_date = time_ms
            self.jobs[-1].exit_value = str(event.type)


class LegacyTaskSet(list[LegacyTask]):
    """One variant as the prototypes knew it: a list of tasks.

    :ivar run: our own value, for monitors that want more than they used to get.
    """

    def __init__(self, run: Run) -> None:
        super().__init__(LegacyTask(task) for task in run.variant.tasks)
        self.run = run
        self.name = str(run.provenance.get("taskset") or "TaskSet")

    def description(self) -> list[dict[str, Any]]:
        """The tasks without what became of them."""
        return [{key: value for key, value in task.items() if key != "jobs"} for task in self]

    def binaries(self) -> set[str]:
        """Names of the task binaries."""
        return {str(task["pkg"]) for task in self}

    def note(self, event: Event) -> None:
        for task in self:
            if task.id == event.task_id:
                task.note(event)

    def refill(self, events: Iterable[Event]) -> None:
        """Put all events of a run into it, whatever a monitor or a full queue has done before."""
        for task in self:
            task.pop("jobs", None)
            task.jobs, task.events = [], {}
        for event in events:
            self.note(event)


def profile_of(event: Event) -> dict[str, Any]:
    """An event as the prototypes handed it over: a frame turned into dictionaries."""
    attributes = {
        "@type": str(event.type),
        "@task-id": str(event.task_id),
        "@time-stamp": str(event.time_stamp_ms),
    }
    return {"profile": {"events": {"event": [attributes]}}}


def is_monitor(thing: object) -> bool:
    """Whether an object has any hook of a monitor."""
    return any(callable(getattr(thing, hook, None)) for hook in HOOKS)


class LegacyMonitor(EventHandler):
    """A handler that passes on to a monitor. What a monitor returns is of no consequence.

    :param monitor: hooks that it does not have are left out.
    """

    def __init__(self, monitor: object) -> None:
        self.monitor = monitor
        self._open: dict[str, LegacyTaskSet] = {}
        self._event_arguments = _arguments(getattr(monitor, "__taskset_event__", None))

    @property
    def name(self) -> str:
        return type(self.monitor).__name__

    def on_start(self, run: Run) -> None:
        taskset = self._open[run.id] = LegacyTaskSet(run)
        self._call("__taskset_start__", taskset)

    def on_event(self, run: Run, event: Event) -> None:
        taskset = self._taskset(run)
        taskset.note(event)
        self._call("__taskset_event__", *(taskset, profile_of(event))[: self._event_arguments])

    def on_finish(self, run: Run) -> None:
        taskset = self._ended(run)
        assert run.outcome is not None
        if run.outcome.failure is None:
            self._call("__taskset_finish__", taskset)
        else:
            self._call("__taskset_stop__", taskset)

    def on_stop(self, run: Run, reason: str) -> None:
        self._call("__taskset_stop__", self._ended(run))

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        self._call("__taskset_bad__", self._ended(run), len(attempts))

    def _taskset(self, run: Run) -> LegacyTaskSet:
        return self._open.setdefault(run.id, LegacyTaskSet(run))

    def _ended(self, run: Run) -> LegacyTaskSet:
        taskset = self._open.pop(run.id, None) or LegacyTaskSet(run)
        taskset.run = run
        if run.outcome is not None:
            taskset.refill(run.outcome.events)
        return taskset

    def _call(self, hook: str, *arguments: Any) -> None:
        method = getattr(self.monitor, hook, None)
        if callable(method):
            method(*arguments)


def _arguments(hook: Callable[..., Any] | None) -> int:
    """How many arguments an event hook takes: the task-set, in later prototypes the event too."""
    if hook is None:
        return 1
    try:
        inspect.signature(hook).bind(None, None)
    except TypeError:
        return 1
    except ValueError:  # a hook in C, which does not tell
        return 2
    return 2

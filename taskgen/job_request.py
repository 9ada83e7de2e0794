"""What a user wants to be run, whoever is going to do it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from taskgen.events.adapter import adapt_all
from taskgen.events.handler import EventHandler
from taskgen.interfaces import SessionSettings
from taskgen.queue import JobSpec
from taskgen.queue.values import VariantSource
from taskgen.run_settings import RunSettings
from taskgen.taskset import TaskSet


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """What a user wants to be run; see :meth:`taskgen.distributor.Distributor.add_job`.

    :ivar tries: ``None``: as the settings say, of whoever runs it.
    """

    taskset: TaskSet | VariantSource
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    offset: int = 0
    limit: int | None = None
    repeat: int = 1
    tries: int | None = None
    profile: str | None = None
    duration_s: float | None = None
    admission_control: Mapping[str, Any] | None = None

    def spec(self, settings: RunSettings) -> JobSpec:
        """The job, with all that the request leaves to the settings.

        :raises ValueError: for a number that makes no sense.
        """
        return JobSpec(
            taskset=self.taskset,
            name=self.name,
            labels=dict(self.labels),
            priority=self.priority,
            offset=self.offset,
            limit=self.limit,
            repeat=self.repeat,
            tries=settings.tries if self.tries is None else self.tries,
            profile=self.profile,
            settings=SessionSettings(
                admission_control=self.admission_control,
                duration_s=self.duration_s,
                margin=settings.margin,
                slack_s=settings.slack_s,
            ),
        )


def sorted_out(
    parameters: Iterable[Any],
) -> tuple[tuple[EventHandler, ...], Mapping[str, Any] | None]:
    """Handlers, and data for admission control; later data win.

    :param parameters: what a user gives after a task-set, in any order.
    :raises ConfigError: for what is neither.
    """
    things, admission_control = [], None
    for parameter in parameters:
        if isinstance(parameter, Mapping):
            admission_control = dict(parameter)
        elif parameter is not None:
            things.append(parameter)
    return adapt_all(*things), admission_control

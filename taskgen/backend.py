"""Who does what a distributor is asked to: a service in this process, or a daemon elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from taskgen.errors import ConfigError
from taskgen.events.handler import EventHandler
from taskgen.interfaces import SessionSettings
from taskgen.queue import Attempt, JobInfo, JobSpec
from taskgen.queue.values import VariantSource
from taskgen.service import Plan, Service, service
from taskgen.settings import RunSettings
from taskgen.status import Status
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


class Backend(Protocol):
    """Where the work is done. What each call does stands at :class:`taskgen.job.Job` and
    :class:`taskgen.distributor.Distributor`, whose calls these are; belongs to one event loop."""

    async def add_job(self, request: JobRequest, handlers: Sequence[EventHandler]) -> str: ...
    async def add_handler(self, job_id: str, handler: EventHandler) -> None: ...
    async def job(self, job_id: str) -> JobInfo: ...
    async def jobs(self) -> list[JobInfo]: ...
    async def wait_job(self, job_id: str) -> JobInfo: ...
    async def results_page(self, job_id: str, after: int) -> list[Attempt]: ...
    async def stop_job(self, job_id: str, reason: str) -> None: ...
    async def pause_job(self, job_id: str) -> None: ...
    async def resume_job(self, job_id: str) -> None: ...
    async def retry_bad(self, job_id: str) -> int: ...
    async def wait_idle(self) -> None: ...
    async def busy(self) -> bool: ...
    async def status(self) -> Status: ...
    async def set_limit(self, machines: int) -> None: ...
    async def kill_machines(self) -> None: ...
    async def shut_down_machines(self) -> None: ...
    async def resume(self) -> None: ...
    async def begin(self) -> None:
        """Work is about to come: undo a pause that was asked for here."""


class Embedded:
    """The service of this process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.add_handler = service.add_handler
        self.jobs = service.all_jobs
        self.job = service.queue.job
        self.wait_job = service.wait_job
        self.results_page = service.results_page
        self.stop_job = service.stop_job
        self.pause_job = service.queue.pause
        self.resume_job = service.queue.resume
        self.retry_bad = service.queue.retry_bad
        self.wait_idle = service.wait_idle
        self.kill_machines = service.kill_machines
        self.shut_down_machines = service.shut_down_machines

    async def add_job(self, request: JobRequest, handlers: Sequence[EventHandler]) -> str:
        return await self._service.add_job(request.spec(self._service.plan.settings.run), handlers)

    async def busy(self) -> bool:
        return self._service.busy

    async def status(self) -> Status:
        return self._service.status

    async def set_limit(self, machines: int) -> None:
        if self._service.machines is None:
            raise ConfigError("this distributor launches no machines", hint="give it machines=N")
        await self._service.change_fleet(max_machines=machines)

    async def resume(self) -> None:
        self._service.resume()

    async def begin(self) -> None:
        self._service.resume()


@asynccontextmanager
async def embedded(plan: Plan) -> AsyncIterator[Backend]:
    """A service of our own while in the block; leaving it stops everything.

    :raises SetupError: if the host or the plan does not allow it; nothing is left then.
    """
    async with service(plan) as made:
        yield Embedded(made)

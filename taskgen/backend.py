"""Who does what a distributor is asked to: a service in this process, or a daemon elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from taskgen.errors import ConfigError
from taskgen.events.handler import EventHandler
from taskgen.job_request import JobRequest
from taskgen.queue import Attempt, JobInfo
from taskgen.service import Plan, Service, service
from taskgen.status import Status


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

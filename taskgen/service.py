"""Queue, engine, machines and hosts, put together and kept at work.

The public class :class:`taskgen.distributor.Distributor` runs one of these in a thread of its own;
who has an event loop can use it directly::

    async with service(Plan(machines=FleetPlan(profile=load_profile("linux-x86_64")))) as work:
        job = await work.add_job(JobSpec(taskset), [handler])
        await work.queue.wait_job(job)
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from taskgen.addresses import Addresses
from taskgen.audience import Audience
from taskgen.binaries import Binaries
from taskgen.board import BoardKind
from taskgen.engine import Engine
from taskgen.errors import TaskgenError
from taskgen.events.handler import EventHandler
from taskgen.fitting import Place, fitted
from taskgen.host.waiting import finish
from taskgen.hosts import HostPool
from taskgen.interfaces import Run
from taskgen.local import FleetPlan, LocalFleet, local_fleet
from taskgen.pool import Pool
from taskgen.profiles import Profile, load_profile
from taskgen.queue import Attempt, JobInfo, JobQueue, JobSpec, new_job_id
from taskgen.queue.values import ENDED
from taskgen.settings import Settings
from taskgen.status import Status, look
from taskgen.waiting import first_of

log = logging.getLogger(__name__)

#: Results that are fetched at once.
PAGE = 200


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a service is to work with.

    :ivar machines: what it launches on this host; ``None``: nothing.
    :ivar hosts: where it looks for boards; ``None``: nowhere.
    :ivar host_profile: what those are; decides which binaries fit them.
    :ivar binaries: the user's directories of task binaries.
    :ivar queue: file of the queue; ``None``: it ends with the process.
    :ivar max_machines: machines at most.
    """

    machines: FleetPlan | None = None
    hosts: Addresses | None = None
    host_profile: Profile | None = None
    binaries: tuple[Path, ...] = ()
    queue: Path | None = None
    max_machines: int = field(default_factory=lambda: os.cpu_count() or 1)
    settings: Settings = field(default_factory=Settings)


class Service:
    """A running service. Made by :func:`service`; belongs to one event loop."""

    def __init__(
        self,
        plan: Plan,
        queue: JobQueue,
        engine: Engine,
        *,
        machines: Pool | None,
        hosts: HostPool | None,
        fleet: LocalFleet | None,
    ) -> None:
        self.plan = plan
        self.queue = queue
        self.engine = engine
        self.machines = machines
        self.hosts = hosts
        self.failure: TaskgenError | None = None  #: why nothing works any more
        self._fleet = fleet
        self._failed = asyncio.Event()
        self._works: list[asyncio.Task[None]] = []

    async def add_job(self, spec: JobSpec, handlers: Sequence[EventHandler] = ()) -> str:
        """Queue a job, after all has been checked that can be.

        :returns: its id.
        :raises SetupError: if the job cannot run here; nothing was queued then.
        :raises TaskgenError: what ended the work, if something did.
        """
        self._check()
        spec = fitted(spec, self._places)
        job_id = new_job_id()
        for handler in handlers:
            self.engine.audience.add(job_id, handler)
        await self.queue.add(spec, job_id=job_id)
        return job_id

    async def add_handler(self, job_id: str, handler: EventHandler) -> None:
        """Tell a handler all that is kept of a job, and then what becomes of the rest.

        So that nothing is missed after a crash, something may be told twice: run ids tell.

        :raises UnknownJobError: if there is no such job.
        """
        info = await self.queue.job(job_id)
        dispatcher = self.engine.audience.add(job_id, handler)
        number = 0
        async for run in self.queue.result_runs(job_id):
            dispatcher.on_finish(run)
            number += 1
            if number % PAGE == 0:
                await self.engine.audience.told()  # a long past must not crowd out the present
        after = -1
        while positions := await self.queue.bad(job_id, after=after):
            for position in positions:
                attempts = await self.queue.attempts_at(job_id, position)
                run = await self._as_run(info, attempts[-1])
                dispatcher.on_bad(run, [attempt.outcome for attempt in attempts])
            after = positions[-1]

    async def _as_run(self, info: JobInfo, attempt: Attempt) -> Run:
        return Run(
            id=attempt.run_id,
            job_id=info.id,
            variant=await self.queue.variant(info.id, attempt.position),
            attempt=attempt.attempt,
            settings=info.settings,
            profile=info.profile,
            provenance=info.provenance,
            outcome=attempt.outcome,
        )

    async def wait_job(self, job_id: str) -> JobInfo:
        """Wait until a job has ended and its handlers have been told so.

        :raises TaskgenError: what ended the work, if that comes first.
        :raises UnknownJobError: if there is no such job.
        """
        await first_of(self.queue.wait_job(job_id), self._failed.wait())
        info = await self.queue.job(job_id)
        if info.state not in ENDED:
            self._check()
        await self.engine.audience.told()
        return info

    async def all_jobs(self) -> list[JobInfo]:
        """All jobs of the queue, oldest first."""
        found: list[JobInfo] = []
        while page := await self.queue.jobs(after=found[-1].number if found else 0):
            found += page
        return found

    async def results_page(self, job_id: str, after: int) -> list[Attempt]:
        """Results of a job behind position ``after``; nothing if there are no more."""
        page: list[Attempt] = []
        async for attempt in self.queue.results(job_id, after=after):
            page.append(attempt)
            if len(page) == PAGE:
                break
        return page

    async def wait_idle(self) -> None:
        """Wait until nothing is queued or running.

        :raises TaskgenError: what ended the work, if that comes first.
        """
        while self.busy:
            await first_of(self.queue.changed(), self._failed.wait())
        self._check()

    async def stop_job(self, job_id: str, reason: str) -> None:
        """Cancel a job: nothing more of it is handed out, and what runs of it is stopped.

        Its handlers have been told when this returns.
        """
        await self.queue.cancel(job_id)
        await self.engine.stop_job(job_id, reason)
        await self.engine.audience.told()

    def pause(self) -> None:
        """Let all targets go once their runs are through, and take none until :meth:`resume`."""
        for pool in (self.machines, self.hosts):
            if pool:
                pool.pause()

    def resume(self) -> None:
        """Take targets again as there is work for them, also after boots that kept failing."""
        for pool in (self.machines, self.hosts):
            if pool:
                pool.resume()
        if self.failure:
            self.failure = None
            self._failed.clear()
            self.begin()

    def begin(self) -> None:
        """Let the pools work, each in a task of its own."""
        self._works = [
            asyncio.create_task(self._work(pool), name=type(pool).__name__)
            for pool in (self.machines, self.hosts)
            if pool
        ]

    async def end(self) -> None:
        """Stop all targets now; what they were doing goes back to the queue."""
        for work in self._works:
            work.cancel()
        if self._works:
            await finish(asyncio.wait(self._works))
        for work in self._works:
            if not work.cancelled():
                work.result()

    async def _work(self, pool: Pool | HostPool) -> None:
        try:
            await pool.run()
        except TaskgenError as error:
            log.error("the work has ended: %s", error)
            self.failure = error
            self._failed.set()

    async def shut_down_machines(self) -> None:
        """Let all machines finish their runs and stop; none starts until :meth:`resume`."""
        if self.machines:
            self.machines.pause()
            await self.machines.emptied()

    async def kill_machines(self) -> None:
        """Stop all machines now, their runs going back to the queue; none starts until
        :meth:`resume`."""
        if self.machines:
            self.machines.pause()
            self.machines.kill()
            await self.machines.emptied()

    @property
    def busy(self) -> bool:
        """Whether work is queued or running."""
        return self.failure is None and self.queue.backlog > 0

    @property
    def status(self) -> Status:
        """How things stand."""
        held = self._fleet.network.network.slots if self._fleet else 0
        return look(self.engine, self.machines, self.hosts, slots=held, failure=self.failure)

    def _check(self) -> None:
        if self.failure:
            raise self.failure

    @property
    def _places(self) -> list[Place]:
        places = []
        if self.hosts:
            kind = self.hosts.kind
            places.append(Place(kind.profile, kind.binaries, launched=False))
        if self.plan.machines:
            fleet = self.plan.machines
            places.append(Place(fleet.profile, fleet.task_binaries(), launched=True))
        return places


@asynccontextmanager
async def service(plan: Plan) -> AsyncIterator[Service]:
    """A service while in the block. Leaving it stops everything; a queue with a file goes on next
    time.

    :raises SetupError: if the host or the plan does not allow it; nothing is left then.
    """
    async with AsyncExitStack() as stack:
        fleet = (
            await stack.enter_async_context(local_fleet(plan.machines)) if plan.machines else None
        )
        queue = await stack.enter_async_context(JobQueue.open(plan.queue))
        if plan.settings.results.days:
            await queue.prune(time.time() - plan.settings.results.days * 86_400)
        engine = Engine(queue, Audience(), idle_s=plan.settings.fleet.idle_timeout_s)
        stack.push_async_callback(_close, engine)
        machines = (
            fleet.pool(engine, queue, limit=plan.max_machines, standing=True) if fleet else None
        )
        hosts = (
            HostPool(plan.hosts, engine.serve, queue, _board_kind(plan), standing=True)
            if plan.hosts is not None
            else None
        )
        made = Service(plan, queue, engine, machines=machines, hosts=hosts, fleet=fleet)
        stack.push_async_callback(made.end)
        made.begin()
        yield made


async def _close(engine: Engine) -> None:
    await finish(engine.close())


def _board_kind(plan: Plan) -> BoardKind:
    profile = plan.host_profile or load_profile(plan.settings.fleet.profile)
    own = (profile.binaries,) if profile.binaries else ()
    return BoardKind(
        profile=profile,
        binaries=Binaries((*own, *plan.binaries), profile.architecture),
        settings=plan.settings.hosts,
        reset=plan.settings.run.reset,
    )

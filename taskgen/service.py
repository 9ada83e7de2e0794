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
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from taskgen.audience import Audience
from taskgen.board_reach import host_pool
from taskgen.engine import Engine
from taskgen.errors import TaskgenError
from taskgen.events.handler import EventHandler
from taskgen.fitting import fitted
from taskgen.host.waiting import finish
from taskgen.hosts import HostPool
from taskgen.local import LocalFleet, local_fleet
from taskgen.pool import Pool
from taskgen.pool_keeper import PoolKeeper
from taskgen.problems import Problems
from taskgen.queue import Attempt, JobInfo, JobQueue, JobSpec, new_job_id
from taskgen.queue.values import ENDED
from taskgen.retelling import retell
from taskgen.service_health import tell_of_stall, tell_when_well
from taskgen.service_plan import Plan
from taskgen.status import Status, look
from taskgen.waiting import first_of
from taskgen.wished_fleet import WishedFleet

log = logging.getLogger(__name__)

__all__ = ["Plan", "Service", "service"]

#: Results that are fetched at once.
PAGE = 200


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
        problems: Problems,
    ) -> None:
        self.plan = plan
        self.queue = queue
        self.engine = engine
        self.machines = machines
        self.hosts = hosts
        self.fleet = fleet
        self.problems = problems
        self.wished = WishedFleet(machines, queue, plan.wishes, plan.keep_wishes)
        self.keeps_machines = False  #: whether they are left running at the end
        pools = {"machines": machines, "hosts": hosts}
        self.keeper = PoolKeeper(
            {name: pool for name, pool in pools.items() if pool}, problems, lasting=plan.lasting
        )
        tell_when_well(self.keeper, machines=machines, hosts=hosts)
        if machines and fleet:
            self.wished.on_change(partial(fleet.fit, machines))
        self.wished.on_change(self.keeper.retry)

    async def add_job(
        self,
        spec: JobSpec,
        handlers: Sequence[EventHandler] = (),
        *,
        paused: bool = False,
        key: str | None = None,
        request: str = "",
    ) -> str:
        """Queue a job, after all has been checked that can be.

        Of :meth:`JobQueue.add` are ``paused``, and ``key`` with ``request`` where no handlers are.

        :returns: its id.
        :raises SetupError: if the job cannot run here; nothing was queued then.
        :raises KeyReusedError: if the key has made a job out of another request.
        :raises TaskgenError: what ended the work, if something did.
        """
        self._check()
        spec = fitted(spec, self.plan.places)
        job_id = new_job_id()
        for handler in handlers:
            self.engine.audience.add(job_id, handler)
        return await self.queue.add(spec, job_id=job_id, paused=paused, key=key, request=request)

    async def add_handler(self, job_id: str, handler: EventHandler) -> None:
        """Tell a handler all that is kept of a job, and then what becomes of the rest.

        :raises UnknownJobError: if there is no such job.
        """
        await retell(self.queue, self.engine.audience, job_id, handler)

    async def wait_job(self, job_id: str) -> JobInfo:
        """Wait until a job has ended and its handlers have been told so.

        :raises TaskgenError: what ended the work, if that comes first.
        :raises UnknownJobError: if there is no such job.
        """
        await first_of(self.queue.wait_job(job_id), self.keeper.failed.wait())
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
            await first_of(self.queue.changed(), self.keeper.failed.wait())
        self._check()

    async def stop_job(self, job_id: str, reason: str) -> None:
        """Cancel a job: nothing more of it is handed out, and what runs of it is stopped.

        Its handlers have been told when this returns.
        """
        await self.queue.cancel(job_id)
        await self.engine.stop_job(job_id, reason)
        await self.engine.audience.told()

    def resume(self) -> None:
        """Take targets again as there is work for them, also after boots that kept failing."""
        for pool in (self.machines, self.hosts):
            if pool:
                pool.resume()
        self.keeper.retry()

    async def change_fleet(
        self, *, max_machines: int | None = None, paused: bool | None = None
    ) -> None:
        """See :meth:`taskgen.wished_fleet.WishedFleet.change`."""
        await self.wished.change(max_machines=max_machines, paused=paused)

    async def drain(self, timeout_s: float, *, keep_machines: bool = False) -> None:
        """Begin nothing more, and let all targets go once their runs are through.

        :param timeout_s: how long that may take; what is not through goes back to the queue.
        :param keep_machines: let them run on, for the next daemon.
        """
        self.keeps_machines = keep_machines
        self.engine.drain()
        log.info("lets runs finish, for %g s at most", timeout_s)
        for pool in (self.machines, self.hosts):
            if pool:
                pool.drain()
        self.keeper.retry()  # a pool that rests has nothing to finish
        try:
            async with asyncio.timeout(timeout_s):
                await self.keeper.ended()
        except TimeoutError:
            if self.queue.open_counts.running:  # else it is only targets that take their time to go
                log.warning(
                    "not all runs were through after %g s; they will be run again", timeout_s
                )

    async def end(self) -> None:
        """Stop all targets now; what they were doing goes back to the queue."""
        self.queue.lose_patience()
        await self.keeper.end()

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
    def failure(self) -> TaskgenError | None:
        """Why nothing works any more."""
        return self.keeper.failure

    @property
    def state(self) -> str:
        """working, idle, paused, draining, or stopped; one word for people."""
        if self.failure or any(problem.fatal for problem in self.problems.current):
            return "stopped"
        if self.engine.draining:
            return "draining"
        if self.queue.paused:
            return "paused"
        return "working" if self.busy else "idle"

    @property
    def status(self) -> Status:
        """How things stand."""
        remarks = self.fleet.remarks if self.fleet else ()
        return look(self.engine, self.machines, self.hosts, failure=self.failure, remarks=remarks)

    def _check(self) -> None:
        if self.failure:
            raise self.failure


@asynccontextmanager
async def service(plan: Plan, problems: Problems | None = None) -> AsyncIterator[Service]:
    """A service while in the block. Leaving it stops everything; a queue with a file goes on next
    time.

    :param problems: told what is not as it should be, as long as it is so.
    :raises SetupError: if the host or the plan does not allow it; nothing is left then.
    """
    problems = problems or Problems()
    made: Service | None = None
    fleet: LocalFleet | None = None
    async with AsyncExitStack() as stack:
        if plan.machines:
            fleet = await stack.enter_async_context(
                local_fleet(
                    plan.machines,
                    problems=problems,
                    keep=lambda: made is not None and made.keeps_machines,
                )
            )
        on_stall = partial(tell_of_stall, problems) if plan.lasting else None
        queue = await stack.enter_async_context(
            JobQueue.open(plan.queue, order=plan.settings.run.order, on_stall=on_stall)
        )
        queue.paused = plan.wishes.paused
        if not plan.lasting:  # a daemon looks again and again, and begins at once
            await queue.prune_by(plan.settings.results)
        engine = Engine(queue, Audience(), idle_s=plan.settings.fleet.idle_timeout_s)
        stack.push_async_callback(_close, engine)
        machines = (
            fleet.pool(engine, queue, limit=plan.max_machines, standing=True) if fleet else None
        )
        hosts = host_pool(plan, engine, queue, fleet.network if fleet else None)
        made = Service(
            plan, queue, engine, machines=machines, hosts=hosts, fleet=fleet, problems=problems
        )
        stack.push_async_callback(made.end)
        made.keeper.begin()
        yield made


async def _close(engine: Engine) -> None:
    await finish(engine.close())

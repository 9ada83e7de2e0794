"""What the daemon is made of, and what it looks after."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace

from taskgen.addresses import parse_hosts
from taskgen.binary_store import BinaryStore
from taskgen.daemon.clock import ClockWatch
from taskgen.daemon.disk import DiskWatch
from taskgen.daemon.memory import check_memory, host_memory_mb
from taskgen.daemon.reload import merged
from taskgen.daemon.state import StateDirectory
from taskgen.errors import ConfigError, TaskgenError
from taskgen.host.records import Kind
from taskgen.local import FleetPlan
from taskgen.problems import Problems
from taskgen.profiles import load_profile
from taskgen.service import Plan, Service, service
from taskgen.settings import Settings

log = logging.getLogger(__name__)

#: The fleet's name, and its namespace's unless the settings name another.
FLEET = "taskgen"

#: Seconds between two looks for jobs that are old enough to be forgotten.
RETENTION_INTERVAL_S = 3600.0

#: Makes the API of a running daemon, and takes it away again.
Api = Callable[["Daemon"], AbstractAsyncContextManager[object]]


class Daemon:
    """A running daemon. Made by :func:`running`; belongs to one event loop.

    :ivar settings: as they hold now.
    :ivar started_at: seconds since the epoch.
    """

    def __init__(
        self, settings: Settings, state: StateDirectory, work: Service, problems: Problems
    ) -> None:
        self.settings = settings
        self.state = state
        self.service = work
        self.problems = problems
        self.started_at = time.time()
        self._old = asyncio.Event()  # set when old jobs should be looked for
        work.wished.on_change(self._check_memory)

    async def keep_well(self, clock: Callable[[], float] = time.time) -> None:
        """Look after the disk, the clock, and jobs that are old enough, until cancelled."""
        disk = DiskWatch(self.state.path, self.problems)
        self._check_memory()
        with ClockWatch(self.problems, self._old.set).watching():
            async with asyncio.TaskGroup() as group:
                group.create_task(disk.watch(), name="disk")
                group.create_task(self._forget_old_jobs(clock), name="retention")

    def take_over(self, new: Settings) -> None:
        """Let changed settings hold, as far as that is possible in the midst of work."""
        self.settings, taken, waiting = merged(self.settings, new)
        work, fleet = self.service, self.settings.fleet
        work.plan = replace(work.plan, settings=self.settings)
        work.engine.idle_s = fleet.idle_timeout_s
        work.wished.default_limit(max_machines(self.settings))
        self._old.set()
        if not taken and not waiting:
            log.info("the settings were read again: nothing has changed")
        if taken:
            log.info("holds from now on: %s", ", ".join(taken))
        if "fleet.max_machines" in taken and work.wished.wishes.max_machines is not None:
            log.info("%d machines stay wished as they were", work.wished.wishes.max_machines)
        if waiting:
            log.warning("needs a restart: %s", ", ".join(waiting))

    async def _forget_old_jobs(self, clock: Callable[[], float]) -> None:
        while True:
            self._old.clear()
            if days := self.settings.results.days:
                try:
                    await self.service.queue.prune(clock() - days * 86_400)
                except TaskgenError as error:  # the disk is full: that is told elsewhere
                    log.info("old jobs are not forgotten now: %s", error)
            try:
                async with asyncio.timeout(RETENTION_INTERVAL_S):
                    await self._old.wait()
            except TimeoutError:
                continue

    def _check_memory(self) -> None:
        work = self.service
        if work.machines and work.fleet:
            machines = min(work.machines.limit, work.fleet.network.network.slots)
            check_memory(
                self.problems, machines, work.fleet.plan.profile.memory_mb, host_memory_mb()
            )


def max_machines(settings: Settings) -> int:
    """As many as the settings say."""
    return settings.fleet.max_machines or os.cpu_count() or 1


def plan_of(settings: Settings, state: StateDirectory) -> Plan:
    """What the daemon's service is to work with.

    :raises ConfigError: if settings or wishes cannot be used.
    """
    wishes = state.wishes()
    profile = load_profile(settings.fleet.profile)
    addresses = settings.hosts.addresses
    if not settings.fleet.launch and not addresses:
        raise ConfigError(
            "fleet.launch is false, and hosts.addresses is empty: there is nothing to run on"
        )
    store = BinaryStore(state.binaries, max_bytes=int(settings.api.binary_megabytes * 1e6))
    machines = FleetPlan(
        profile=profile,
        settings=settings,
        kind=Kind.DAEMON,
        name=FLEET,
        machines=state.machines,
        store=store,
    )
    return Plan(
        machines=machines if settings.fleet.launch else None,
        hosts=parse_hosts(addresses) if addresses else None,
        host_profile=load_profile(settings.hosts.profile) if settings.hosts.profile else profile,
        queue=state.queue,
        store=store,
        max_machines=wishes.max_machines or max_machines(settings),
        wishes=wishes,
        lasting=True,
        keep_wishes=state.keep_wishes,
        settings=settings,
    )


@asynccontextmanager
async def running(
    settings: Settings, state: StateDirectory, problems: Problems, api: Api
) -> AsyncIterator[Daemon]:
    """A daemon whose API answers, while in the block.

    :raises SetupError: if the host or the settings do not allow it; nothing is left then.
    """
    async with AsyncExitStack() as stack:
        work = await stack.enter_async_context(service(plan_of(settings, state), problems))
        daemon = Daemon(settings, state, work, problems)
        await stack.enter_async_context(api(daemon))
        yield daemon

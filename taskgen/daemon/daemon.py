"""What the daemon is made of, and what it looks after."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial

from taskgen.addresses import parse_hosts
from taskgen.binary_store import BinaryStore
from taskgen.daemon.clock import ClockWatch
from taskgen.daemon.disk import DiskWatch
from taskgen.daemon.reload import merged
from taskgen.daemon.screens import Screens
from taskgen.daemon.state import StateDirectory
from taskgen.errors import ConfigError, TaskgenError
from taskgen.host.cores import whole_cores
from taskgen.host.records import Kind
from taskgen.host.waiting import in_thread
from taskgen.local_plan import FleetPlan
from taskgen.problems import Problems
from taskgen.profiles import load_profile
from taskgen.service import Plan, Service, service
from taskgen.settings import Settings

log = logging.getLogger(__name__)

#: The fleet's name, and its namespace's unless the settings name another.
FLEET = "taskgen"

#: Seconds between two looks for jobs and binaries that are old enough to be removed.
CLEANING_INTERVAL_S = 3600.0

#: Makes the API of a running daemon, and takes it away again.
Api = Callable[["Daemon"], AbstractAsyncContextManager[object]]


class Daemon:
    """A running daemon. Made by :func:`running`; belongs to one event loop.

    :ivar settings: as they hold now.
    :ivar binaries: that were uploaded.
    :ivar started_at: seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        state: StateDirectory,
        work: Service,
        binaries: BinaryStore,
        problems: Problems,
    ) -> None:
        self.settings = settings
        self.state = state
        self.binaries = binaries
        self.service = work
        self.problems = problems
        self.started_at = time.time()
        self.screens = Screens(work, problems, lambda: self.settings.console.screens)
        self._clean = asyncio.Event()  # set when it should be looked for what is old

    async def keep_well(self) -> None:
        """Look after disk, clock and screens, and remove what is old enough, until cancelled."""
        disk = DiskWatch(self.state.path, self.problems)
        with ClockWatch(self.problems, self._clean.set).watching():
            async with asyncio.TaskGroup() as group:
                group.create_task(disk.watch(), name="disk")
                group.create_task(self._clean_up(), name="cleaning")
                group.create_task(self.screens.keep(), name="screens")

    def take_over(self, new: Settings) -> None:
        """Let changed settings hold, as far as that is possible in the midst of work."""
        self.settings, taken, waiting = merged(self.settings, new)
        work, fleet = self.service, self.settings.fleet
        work.plan = replace(work.plan, settings=self.settings)
        work.engine.idle_s = fleet.idle_timeout_s
        if work.fleet:
            work.fleet.memory_mb = fleet.memory_mb
            work.fleet.boot_concurrency = fleet.boot_concurrency
        work.queue.order = self.settings.run.order
        work.wished.default_limit(max_machines(self.settings))
        self._clean.set()
        self.screens.look()
        if not taken and not waiting:
            log.info("the settings were read again: nothing has changed")
        if taken:
            log.info("holds from now on: %s", ", ".join(taken))
        if "fleet.max_machines" in taken and work.wished.wishes.max_machines is not None:
            log.info("%d machines stay wished as they were", work.wished.wishes.max_machines)
        if waiting:
            log.warning("needs a restart: %s", ", ".join(waiting))

    async def _clean_up(self) -> None:
        while True:
            self._clean.clear()
            queue = self.service.queue
            try:
                await queue.prune_by(self.settings.results)
                used = await queue.binaries_in_use()
                await in_thread(None, self.binaries.sweep, used)
                if self.service.fleet:
                    await self.service.fleet.keep_consoles(self.settings.console)
                    await self.service.fleet.keep_snapshots(self.settings.snapshots)
            except (TaskgenError, OSError) as error:  # a full disk, say: that is told elsewhere
                log.warning("what is old is not removed now: %s", error)
            try:
                async with asyncio.timeout(CLEANING_INTERVAL_S):
                    await self._clean.wait()
            except TimeoutError:
                continue


def max_machines(settings: Settings) -> int:
    """As many as the settings say."""
    return settings.fleet.max_machines or whole_cores()


def plan_of(settings: Settings, state: StateDirectory, store: BinaryStore) -> Plan:
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
    machines = FleetPlan(
        profile=profile,
        settings=settings,
        store=store,
        kind=Kind.DAEMON,
        name=FLEET,
        machines=state.machines,
    )
    return Plan(
        machines=machines if settings.fleet.launch else None,
        hosts=parse_hosts(addresses) if addresses else None,
        host_profile=load_profile(settings.hosts.profile) if settings.hosts.profile else profile,
        store=store,
        queue=state.queue,
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
        limit = int(settings.api.binary_megabytes * 1e6)
        store = await in_thread(None, partial(BinaryStore, state.binaries, max_bytes=limit))
        plan = plan_of(settings, state, store)
        work = await stack.enter_async_context(service(plan, problems))
        daemon = Daemon(settings, state, work, store, problems)
        await stack.enter_async_context(api(daemon))
        yield daemon

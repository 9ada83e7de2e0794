"""The daemon's life: from its start, through signals, to its end in good order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from taskgen.collector import settle
from taskgen.daemon.daemon import Api, Daemon, running
from taskgen.daemon.logs import configure_logging
from taskgen.daemon.notify import Notifier
from taskgen.daemon.signals import Signals
from taskgen.daemon.state import StateDirectory
from taskgen.errors import ConfigError, TaskgenError
from taskgen.problems import Problems
from taskgen.service import Service
from taskgen.settings import Settings
from taskgen.waiting import first_of, innermost

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a daemon is started with.

    :ivar api: makes the API of the running daemon.
    :ivar reread: gives the settings anew, for SIGHUP; raises :class:`ConfigError`.
    :ivar verbose: says so many levels more than the settings.
    """

    settings: Settings
    state: StateDirectory
    api: Api
    reread: Callable[[], Settings]
    verbose: int = 0
    notifier: Notifier = field(default_factory=Notifier)


async def live(start: Start) -> None:
    """Work until a signal says that it is enough.

    :raises TaskgenError: what made it impossible to begin, or to go on.
    :raises asyncio.CancelledError: if it was to end at once.
    """
    reload = asyncio.Event()
    signals = Signals(reload.set)
    with signals.handled():
        try:
            async with running(start.settings, start.state, Problems(), start.api) as daemon:
                signals.started()
                await _Life(start, daemon, signals, reload).whole()
            daemon.service.queue.check()  # what was to be kept at the very end
            if daemon.service.failure:
                raise daemon.service.failure
        except asyncio.CancelledError:
            if signals.stop.is_set() and not signals.at_once:
                return  # it was to end before it had begun
            raise


class _Life:
    def __init__(
        self, start: Start, daemon: Daemon, signals: Signals, reload: asyncio.Event
    ) -> None:
        self._start = start
        self._daemon = daemon
        self._signals = signals
        self._reload = reload

    async def whole(self) -> None:
        """All of it, from the moment at which the API answers."""
        try:
            async with asyncio.TaskGroup() as group:
                sides = [
                    group.create_task(self._daemon.keep_well(), name="health"),
                    group.create_task(self._start.notifier.live(), name="watchdog"),
                    group.create_task(self._read_when_asked(), name="reload"),
                ]
                await self._until_the_end()
                for side in sides:
                    side.cancel()
        except* TaskgenError as errors:
            raise innermost(errors) from None

    async def _until_the_end(self) -> None:
        work, notifier = self._daemon.service, self._start.notifier
        notifier.ready(summary(work))
        log.info("ready: %s", summary(work))
        settle()
        await first_of(self._signals.stop.wait(), work.keeper.failed.wait())
        if work.failure:
            raise work.failure
        settings = self._daemon.settings.daemon
        notifier.stopping("lets runs finish")
        keep = self._signals.keep or settings.on_stop == "keep"
        await work.drain(settings.drain_s, keep_machines=keep)

    async def _read_when_asked(self) -> None:
        notifier = self._start.notifier
        while True:
            await self._reload.wait()
            self._reload.clear()
            notifier.reloading()
            self._read_again()
            notifier.ready(summary(self._daemon.service))

    def _read_again(self) -> None:
        problems = self._daemon.problems
        try:
            new = self._start.reread()
        except ConfigError as error:
            problems.report(
                "config", f"the new settings are not used: {error.message}", hint=error.hint
            )
            return
        problems.clear("config")
        configure_logging(new.log, verbose=self._start.verbose)
        self._daemon.take_over(new)


def summary(work: Service) -> str:
    """The daemon in one line, for people."""
    parts = [f"up to {work.machines.limit} machines"] if work.machines else []
    if work.plan.hosts is not None:
        parts.append(f"{len(work.plan.hosts)} addresses of hosts")
    return ", ".join([*parts, f"{work.queue.backlog} runs queued", work.state])

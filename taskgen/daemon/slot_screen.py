"""Keeps the screen of a slot: again when it was killed, and for one machine after another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from taskgen.errors import HostError
from taskgen.host.console_hub import ConsoleHub
from taskgen.host.inotify import Inotify
from taskgen.host.process import Exit
from taskgen.host.screen import Screen, screen
from taskgen.host.waiting import beside
from taskgen.waiting import cut_short, first_of

log = logging.getLogger(__name__)

#: Seconds after which a screen counts as one that works.
STABLE_S = 10.0

#: Seconds until the next try where one ends at once again and again, at most.
LONGEST_REST_S = 60.0


class SlotScreen:
    """The screen of a slot. Something has to run :meth:`keep`.

    :param name: of the slot's machines, and of the session.
    :param inotify: watches who attaches.
    :param console: of the machine that runs in the slot now; ``None``: there is none.
    :param report: called with the name and what is wrong; ``None``: nothing.
    :param rest: waits so many seconds before the next try.
    """

    def __init__(
        self,
        name: str,
        inotify: Inotify,
        console: Callable[[], ConsoleHub | None],
        report: Callable[[str, HostError | None], object],
        *,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._inotify = inotify
        self._console = console
        self._report = report
        self._rest = rest
        self._changed: asyncio.Event | None = None  # while there is no machine
        self._failures = 0  # in a row

    def look(self) -> None:
        """There may be another machine, or none."""
        if self._changed is not None:
            self._changed.set()

    async def keep(self) -> None:
        """Have a session for whoever attaches, until cancelled; then there is none any more."""
        try:
            while True:
                await self._one()
                if self._failures > 1:  # somebody may have ended the first by the key for that
                    await self._rest(min(2.0 ** (self._failures - 2), LONGEST_REST_S))
        finally:
            self._report(self.name, None)

    async def _one(self) -> None:
        """One session, from its start to its end."""
        self._failures += 1
        try:
            async with screen(self.name, self._inotify) as session:
                stable = asyncio.get_running_loop().call_later(STABLE_S, self._works)
                try:
                    async with cut_short(session.on_end):
                        await self._serve(session)
                finally:
                    stable.cancel()
                self._ended(await session.wait())
        except HostError as error:
            self._report(self.name, error)
        except OSError as error:
            self._report(self.name, HostError(f"{self.name}: no screen: {error.strerror}"))

    def _works(self) -> None:
        self._failures = 0
        self._report(self.name, None)

    def _ended(self, how: Exit) -> None:
        log.info("%s: its screen has ended (%s); there will be another", self.name, how)
        if self._failures > 2:
            hint = f"see what screen -S {self.name} says to root"
            self._report(
                self.name,
                HostError(f"the screen {self.name} ends again and again: {how}", hint=hint),
            )

    async def _serve(self, session: Screen) -> None:
        while True:
            while (hub := self._console()) is None:
                await self._until_changed(session)
            await session.use(hub)
            while following := await self._next(session, hub):
                hub = following
                await session.use(hub)
            notice = f"\r\n[{self.name}: machine ended; waiting for the next]\r\n"
            await session.show(notice.encode())

    async def _next(self, session: Screen, hub: ConsoleHub) -> ConsoleHub | None:
        """The console with which the same machine goes on."""
        async with beside(session.ignore_keys()):
            return await hub.next()

    async def _until_changed(self, session: Screen) -> None:
        """What is typed meanwhile is for no machine: the next one must not get it."""
        self._changed = asyncio.Event()
        try:
            await first_of(self._changed.wait(), session.ignore_keys())
        finally:
            self._changed = None

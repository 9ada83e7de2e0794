"""A session of ``screen`` for each machine: ``screen -r taskgen-3`` is its console.

A slot gets one with its first machine, keeps it while machines come and go, and loses it when the
slot is given up: when there is no machine, and the fleet is to be too small for one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from taskgen.daemon.slot_screen import SlotScreen
from taskgen.errors import HostError
from taskgen.host.console_hub import ConsoleHub
from taskgen.host.waiting import finish
from taskgen.machine import Machine
from taskgen.pool import Pool
from taskgen.problems import Problems
from taskgen.service import Service

log = logging.getLogger(__name__)

#: Of what this reports to :class:`~taskgen.problems.Problems`.
PROBLEM = "screens"


class Screens:
    """The screens of a fleet.

    :param work: has the machines.
    :param problems: told of screens that cannot be had; nothing else fails with them.
    :param wanted: tells whether there are to be any now.
    """

    def __init__(self, work: Service, problems: Problems, wanted: Callable[[], bool]) -> None:
        self._work = work
        self._problems = problems
        self._wanted = wanted
        self._screens: dict[int, tuple[SlotScreen, asyncio.Task[None]]] = {}
        self._wrong: dict[str, HostError] = {}
        self._look = asyncio.Event()

    def look(self) -> None:
        """Something may have changed: machines, the size of the fleet, or the settings."""
        self._look.set()

    async def keep(self) -> None:
        """Have the screens that there should be, until cancelled; then there are none."""
        pool = self._work.machines
        if pool is None:
            return
        pool.on_change(lambda name, info: self.look())
        self._work.wished.on_change(self.look)
        try:
            while True:
                self._look.clear()
                self._settle(pool)
                await self._look.wait()
        finally:
            await finish(self._end())

    def _settle(self, pool: Pool) -> None:
        wanted = self._wanted()
        for slot in pool.machines:
            if wanted and slot not in self._screens and _console(pool, slot):
                self._begin(pool, slot)
        there = {info.slot for info in pool.info}
        for slot, (screen, keeping) in self._screens.items():
            screen.look()
            if not wanted or (slot > pool.limit and slot not in there):
                keeping.cancel()

    def _begin(self, pool: Pool, slot: int) -> None:
        assert self._work.fleet is not None, "there is a machine"
        screen = SlotScreen(
            pool.machines[slot].name,
            self._work.fleet.network.inotify,
            partial(_console, pool, slot),
            self._report,
        )
        keeping = asyncio.create_task(screen.keep(), name=f"screen {screen.name}")
        self._screens[slot] = screen, keeping
        keeping.add_done_callback(partial(self._gone, slot))

    def _gone(self, slot: int, keeping: asyncio.Task[None]) -> None:
        del self._screens[slot]
        if not keeping.cancelled() and (error := keeping.exception()):
            log.error("%s: a bug of ours", keeping.get_name(), exc_info=error)
        else:
            self.look()  # it may be wanted again by now

    async def _end(self) -> None:
        keepings = [keeping for _, keeping in self._screens.values()]
        for keeping in keepings:
            keeping.cancel()
        if keepings:
            await asyncio.wait(keepings)

    def _report(self, name: str, error: HostError | None) -> None:
        if error is None:
            self._wrong.pop(name, None)
        else:
            self._wrong[name] = error
        texts = list(dict.fromkeys(each.message for each in self._wrong.values()))
        if not texts:
            self._problems.clear(PROBLEM)
            return
        why = texts[0] + (f" (and {len(texts) - 1} more)" if len(texts) > 1 else "")
        hint = next(iter(self._wrong.values())).hint
        self._problems.report(PROBLEM, f"consoles are not in screens: {why}", hint=hint)


def _console(pool: Pool, slot: int) -> ConsoleHub | None:
    """The serial line of the machine in a slot; ``None``: there is none, or it has ended."""
    machine = pool.machines.get(slot)
    if not isinstance(machine, Machine) or machine.info.pid is None:
        return None
    return None if machine.console_hub.closed else machine.console_hub

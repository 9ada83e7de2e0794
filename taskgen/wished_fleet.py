"""What users wish of the fleet while it works: kept for the next service, and carried out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from taskgen.errors import NoMachinesError
from taskgen.host.waiting import in_thread
from taskgen.pool import Pool
from taskgen.queue import JobQueue
from taskgen.wishes import Wishes


class WishedFleet:
    """Limit and pause of a fleet.

    :param machines: ``None``: none are launched.
    :param keep: keeps wishes; called in a thread, before they take effect.
    :ivar wishes: those that hold now.
    """

    def __init__(
        self,
        machines: Pool | None,
        queue: JobQueue,
        wishes: Wishes,
        keep: Callable[[Wishes], None],
    ) -> None:
        self.wishes = wishes
        self._machines = machines
        self._queue = queue
        self._keep = keep
        self._one_by_one = asyncio.Lock()
        self._listeners: list[Callable[[], object]] = []

    async def change(self, *, max_machines: int | None = None, paused: bool | None = None) -> None:
        """Wish something else. ``None``: as it is.

        :param max_machines: launch so many machines at most. More than fit is kept as a wish.
        :param paused: begin no run, and launch no machine, until it is set to false again.
        :raises NoMachinesError: if no machines are launched here.
        :raises HostError: if it cannot be kept; nothing was changed then.
        """
        if max_machines is not None and self._machines is None:
            raise NoMachinesError("no machines are launched here, only hosts are driven")
        async with self._one_by_one:
            wishes = self.wishes
            if max_machines is not None:
                wishes = replace(wishes, max_machines=max_machines)
            if paused is not None:
                wishes = replace(wishes, paused=paused)
            await in_thread(None, self._keep, wishes)
            self.wishes = wishes
            if max_machines is not None and self._machines is not None:
                self._machines.limit = max_machines
            self._queue.paused = wishes.paused
        self.changed()

    def default_limit(self, machines: int) -> None:
        """So many machines at most, unless somebody wished another number."""
        if self._machines and self.wishes.max_machines is None:
            self._machines.limit = machines
        self.changed()

    def on_change(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` when something was changed. Must not block."""
        self._listeners.append(listener)

    def changed(self) -> None:
        """Tell those who listen."""
        for listener in self._listeners:
            listener()

"""One machine in its pool: how it is begun, told to go, and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from taskgen.fleet import SERVING
from taskgen.interfaces import Target
from taskgen.lifecycle import MachineState
from taskgen.machine_info import MachineInfo


class PooledMachine(Target, Protocol):
    """A machine, as far as the pool deals with it."""

    @property
    def state(self) -> MachineState: ...

    @property
    def info(self) -> MachineInfo: ...

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` whenever :attr:`info` has changed; it must not block."""

    async def start(self) -> None:
        """Launch it and wait until it is ready.

        :raises TaskgenError: if that fails; :meth:`stop` is still needed.
        """

    async def stop(self) -> None:
        """Stop it and release all that it holds, whatever state it is in."""

    async def release(self) -> None:
        """Let go of it and leave it running, if another engine can adopt it; else stop it."""


@dataclass(slots=True, eq=False)
class Member:
    """A machine of the pool.

    :ivar begin: makes it ready: launches it, or adopts it.
    :ivar adopted: it is one that an earlier engine launched.
    :ivar retire: it is to go once its run is through.
    :ivar life: what takes it from its beginning to its end.
    """

    machine: PooledMachine
    begin: Callable[[], Awaitable[None]]
    adopted: bool = False
    retire: asyncio.Event = field(default_factory=asyncio.Event)
    life: asyncio.Task[None] | None = None

    @property
    def info(self) -> MachineInfo:
        info = self.machine.info
        return replace(info, retiring=True) if self.retire.is_set() else info

    @property
    def state(self) -> MachineState:
        """The machine's. One that is about to be adopted is there already, and is not new."""
        state = self.machine.state
        return MachineState.ADOPTING if self.adopted and state is MachineState.NEW else state

    @property
    def serves(self) -> bool:
        return self.state in SERVING

    def finish(self) -> None:
        """Let it go once its run is through; at once if it has none, and is not ready for one."""
        if self.serves:
            self.retire.set()
        else:
            self.end()

    def end(self) -> None:
        """Let it go now: its run goes back to the queue."""
        self.retire.set()
        # One that has not begun to start sees that it should retire, and does not begin.
        if self.life and self.machine.state is not MachineState.NEW:
            self.life.cancel()

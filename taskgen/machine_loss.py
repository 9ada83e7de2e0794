"""What ends a machine while it is at work: its QEMU's death, or that of its tap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from taskgen.errors import MachineDiedError, MachineError
from taskgen.host.qemu import Qemu
from taskgen.host.waiting import finish

T = TypeVar("T")

#: Seconds within which QEMU is seen to have ended where its tap went for that reason.
TAP_S = 1.0


class Loss:
    """Watches one machine: the QEMU that it has, from :meth:`watch` to :meth:`let_go`.

    :param name: the machine's.
    :param tap: name of its tap.
    :param on_loss: called with what has happened, once.
    """

    def __init__(self, name: str, tap: str, on_loss: Callable[[MachineError], object]) -> None:
        self._name = name
        self._tap = tap
        self._on_loss = on_loss
        self._error: asyncio.Future[MachineError] = asyncio.get_running_loop().create_future()
        self._qemu: Qemu | None = None
        self._stop: Callable[[], object] | None = None
        self._tap_gone: asyncio.TimerHandle | None = None

    def watch(self, qemu: Qemu) -> None:
        """From now on it has this QEMU."""
        self._qemu = qemu
        self._stop = qemu.on_death(self._died)

    @property
    def happened(self) -> bool:
        """Whether the machine is lost."""
        return self._error.done()

    def tap_gone(self) -> None:
        """The tap is gone: deleted by somebody, unless its QEMU has just ended."""
        if self._stop and not self.happened and self._tap_gone is None:
            loop = asyncio.get_running_loop()
            self._tap_gone = loop.call_later(TAP_S, self._blame_tap)

    def lose(self, error: MachineError) -> None:
        """It is of no use any more; what it was doing is ended with ``error``."""
        if not self.happened:
            self._error.set_result(error)
            self._on_loss(error)

    async def unless(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work``.

        :raises MachineDiedError: if QEMU ends first, or ``work`` failed for that reason.
        :raises MachineError: if the tap is gone.
        """
        working = asyncio.create_task(work)
        try:
            either: list[asyncio.Future[Any]] = [working, self._error]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise self._error.result()
            try:
                return await working
            except MachineError as error:
                if died := await self._death(error):
                    raise died from error
                raise
        finally:
            working.cancel()
            try:
                await asyncio.wait([working])
            except asyncio.CancelledError:
                working.cancel()  # it may take its time after the first one
                await finish(asyncio.wait([working]))
                raise

    def let_go(self) -> None:
        """Its QEMU is about to be ended, or let go: that is no loss. May be called again."""
        if self._stop:
            self._stop()
            self._stop = self._qemu = None
        if self._tap_gone:
            self._tap_gone.cancel()
            self._tap_gone = None

    async def _death(self, noticed: MachineError) -> MachineDiedError | None:
        """The end of QEMU, where that is why something else was noticed."""
        if self._qemu is None or isinstance(noticed, MachineDiedError):
            return None
        return await self._qemu.death()

    def _died(self, error: MachineError) -> None:
        if self._stop:  # else it has ended in the turn of the loop in which it was let go
            self.lose(error)

    def _blame_tap(self) -> None:  # comes too late, if QEMU has ended
        if self._qemu and self._qemu.process.is_ending:
            return  # that is why, and is about to be told
        self.lose(
            MachineError(
                f"{self._name}: its tap {self._tap} is gone",
                hint="somebody deleted it; another machine is launched in its place",
                console=self._qemu.console.tail() if self._qemu else "",
            )
        )

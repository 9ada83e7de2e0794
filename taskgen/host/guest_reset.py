"""Resets of a guest: those that we ask for, and those that nobody here asked for.

A guest that resets itself forgets what it was sent, and does not say so. So once it is ready QEMU
is told to stop it then, for good: also an engine that was not there to see it can tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from taskgen.errors import MachineError
from taskgen.host.qemu import Qemu

#: Seconds from ``system_reset`` to QEMU's word that it has reset the machine.
RESET_S = 10.0


class GuestReset:
    """The resets of one machine.

    :param on_unasked: called with a reset, in words; must not block.
    :param on_panic: called with the guest's own word that it has panicked, likewise.
    :ivar told: what nobody here asked for since the last reset, in words.
    :ivar panicked: the guest told QEMU that it panicked.
    """

    def __init__(
        self,
        qemu: Qemu,
        *,
        on_unasked: Callable[[str], object],
        on_panic: Callable[[str], object],
    ) -> None:
        self.told: list[str] = []
        self.panicked = False
        self._qemu = qemu
        self._on_unasked = on_unasked
        self._on_panic = on_panic
        self._done: asyncio.Event | None = None  # while we are resetting it
        qemu.qmp.on_event(self._on_event)

    async def forbid(self) -> None:
        """From now on the guest stops where it would reset itself or power off.

        :raises MachineError: if QEMU does not answer.
        """
        await self._set_action(reboot="shutdown", shutdown="pause")

    async def perform(self) -> None:
        """Reset the guest; it may reset itself again until :meth:`forbid`, as some do at boot.

        :raises MachineError: if QEMU does not do it.
        """
        await self._set_action(reboot="reset", shutdown="poweroff")
        self.forget()
        self._done = asyncio.Event()
        try:
            await self._qemu.qmp.execute("system_reset")
            async with asyncio.timeout(RESET_S):
                await self._done.wait()
            if await self._qemu.qmp.status() != "running":  # its saved state could not be restored
                await self._qemu.qmp.execute("cont")
        except TimeoutError as error:
            raise MachineError(
                f"{self._qemu.name}: QEMU has not reset it within {RESET_S:g} s",
                console=self._qemu.console.tail(),
            ) from error
        finally:
            self._done = None

    def forget(self) -> None:
        """What it has told so far belongs to the past: the guest starts anew."""
        self.told.clear()
        self.panicked = False

    async def _set_action(self, **actions: str) -> None:
        await self._qemu.qmp.execute("set-action", actions)

    def _on_event(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "GUEST_PANICKED":
            self.panicked = True
            self._on_panic("its guest has panicked")
        if name not in ("RESET", "SHUTDOWN"):
            return
        if self._done is not None and name == "RESET":
            self._done.set()
            return
        by = "itself" if data.get("guest") else "somebody else"
        what = "shut down" if data.get("reason") == "guest-shutdown" else "reset"
        self.told.append(f"was {what} by {by}")
        self._on_unasked(f"its guest {self.told[-1]}")

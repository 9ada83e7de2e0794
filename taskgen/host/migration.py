"""A machine's state, without its memory, into a file and from one: QEMU's migration.

The memory is a file that all machines of one template have mapped (``x-ignore-shared``), so what
goes through here is the state of the devices: a third of a megabyte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from taskgen.errors import MachineError
from taskgen.host.qemu import Qemu

_NAME = "state"


async def save(qemu: Qemu, file: int, *, timeout_s: float) -> None:
    """Stop the guest, and write its state to an open file. Afterwards QEMU is of no use any more.

    :raises MachineError: if QEMU cannot, or it takes longer than ``timeout_s``.
    """
    over = _Over(qemu)
    await _prepare(qemu)
    await qemu.qmp.execute("stop")
    await qemu.qmp.give_file(file, _NAME)
    await qemu.qmp.execute("migrate", {"uri": f"fd:{_NAME}"})
    await over.wait(timeout_s)


async def restore(qemu: Qemu, file: int, *, timeout_s: float) -> None:
    """Have a QEMU that was launched with ``incoming`` go on from the state in an open file.

    :raises MachineError: if the state does not fit, or it takes longer than ``timeout_s``.
    """
    over = _Over(qemu)
    await _prepare(qemu)
    await qemu.qmp.give_file(file, _NAME)
    await qemu.qmp.execute("migrate-incoming", {"uri": f"fd:{_NAME}"})
    await over.wait(timeout_s)
    await qemu.qmp.execute("cont")


async def _prepare(qemu: Qemu) -> None:
    wanted = ("x-ignore-shared", "events")
    capabilities = [{"capability": name, "state": True} for name in wanted]
    await qemu.qmp.execute("migrate-set-capabilities", {"capabilities": capabilities})


class _Over:
    """That a migration is over, in whatever way. Made before it begins."""

    def __init__(self, qemu: Qemu) -> None:
        self._qemu = qemu
        self._status: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        qemu.qmp.on_event(self._on_event)

    async def wait(self, timeout_s: float) -> None:
        """:raises MachineError: if it has failed, or is not over within ``timeout_s``."""
        died = asyncio.create_task(self._qemu.died())
        either: list[asyncio.Future[Any]] = [self._status, died]
        try:
            await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if not self._status.done() and died.done():  # a state that does not fit ends QEMU
                raise died.result()
        finally:
            died.cancel()
            await asyncio.wait([died])
        status = self._status.result() if self._status.done() else f"not over in {timeout_s:g} s"
        if status != "completed":
            raise MachineError(f"{self._qemu.name}: the move of its state: {status}")

    def _on_event(self, name: str, data: Mapping[str, Any]) -> None:
        status = data.get("status")
        if name == "MIGRATION" and status in ("completed", "failed") and not self._status.done():
            self._status.set_result(str(status))

"""How a machine comes by its QEMU: launched with its tap, or adopted from a dead engine."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextlib import AsyncExitStack
from typing import Any

from taskgen.errors import AdoptionError, LaunchError
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.qemu import Qemu, adopt, launch
from taskgen.host.records import MachineRecord
from taskgen.machine_doctor import of_launch
from taskgen.machine_kind import MachineKind
from taskgen.machine_snapshot import MachineSnapshot
from taskgen.slots import Slot


class Launcher:
    """For the machines of one slot.

    :param kind: what they are.
    :param network: where their tap comes from.
    :param directory: where their files and records lie.
    """

    def __init__(
        self, slot: Slot, kind: MachineKind, network: FleetNetwork, directory: FleetDirectory
    ) -> None:
        self._slot = slot
        self._kind = kind
        self._network = network
        self._directory = directory

    async def launch(
        self,
        stack: AsyncExitStack,
        troubles: MutableMapping[int, Mapping[str, Any]],
        saved: MachineSnapshot | None = None,
    ) -> Qemu:
        """A new QEMU, whose guest has only begun to boot, or stands still for its saved state.

        :param stack: it is ended with this, and its tap released.
        :param troubles: told what is wrong with one that does not start, by slot.
        :param saved: told to look whether there is a state that it can go on from.
        :raises LaunchError: if QEMU does not start.
        :raises HostError: if the host lacks something.
        """
        kind, slot = self._kind, self._slot
        tap = await self._network.open_tap(slot)
        stack.enter_context(tap)
        if saved:
            await saved.find()
        launching = launch(
            kind.profile,
            slot.name,
            directory=self._directory,
            accelerator=kind.accelerator,
            inotify=self._network.inotify,
            namespace=self._network.namespace,
            tap=tap,
            mac=slot.mac,
            user=kind.user,
            icount=kind.icount,
            paused=saved is not None and saved.snapshot is not None,
            slot=slot.number,
            fingerprint=kind.fingerprint(slot),
        )
        try:
            return await stack.enter_async_context(launching)
        except LaunchError as error:
            told, troubles[slot.number] = of_launch(error, slot.name)
            raise told from error

    async def adopt(self, stack: AsyncExitStack, record: MachineRecord) -> Qemu:
        """The QEMU that an engine before us launched; whether it is of use, :meth:`check` tells.

        :param stack: it is ended with this, also where it cannot be adopted.
        :raises AdoptionError: if it has ended, or does not answer.
        """
        return await stack.enter_async_context(
            adopt(record, directory=self._directory, inotify=self._network.inotify)
        )

    async def check(self, qemu: Qemu) -> None:
        """Take over an adopted QEMU's tap.

        :raises AdoptionError: if it is not what :meth:`launch` would give, or its tap is gone.
        """
        slot = self._slot
        if qemu.record.fingerprint != self._kind.fingerprint(slot):
            raise AdoptionError(f"{slot.name}: is not what would be launched now")
        if not await self._network.adopt_tap(slot, qemu.pid):
            raise AdoptionError(f"{slot.name}: its tap {slot.tap} is gone")

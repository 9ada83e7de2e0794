"""How a machine comes by its QEMU: launched with its tap, or adopted from a dead engine.

Where there is a template, the guest of one that is launched goes on from there, and need not boot.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from taskgen.booting import RESTORED_S
from taskgen.errors import AdoptionError, LaunchError, MachineDiedError, MachineError
from taskgen.host.bridge import Tap
from taskgen.host.control_port import control_port
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.memory_file import MemoryFile
from taskgen.host.migration import restore, save
from taskgen.host.origins import launched_from
from taskgen.host.qemu import Qemu
from taskgen.host.qemu_start import adopt, launch
from taskgen.host.records import MachineRecord
from taskgen.host.snapshot_drive import check_disks
from taskgen.host.template import Template, is_of
from taskgen.machine_doctor import of_launch
from taskgen.machine_kind import MachineKind
from taskgen.machine_snapshot import MachineSnapshot
from taskgen.run_settings import Reset
from taskgen.slots import Slot
from taskgen.snapshot_key import nobodys_mac

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Launched:
    """What a machine has of its own.

    :ivar saved: the state that its guest goes back to; ``None``: none.
    :ivar template: what its guest has gone on from; ``None``: nothing, or that is not known.
    """

    qemu: Qemu
    saved: MachineSnapshot | None = None
    template: Template | None = None

    @property
    def saved_at(self) -> float | None:
        """When the state was saved that its guest starts anew from, seconds since the epoch."""
        if self.qemu.record.template:
            return self.qemu.record.template_saved_at
        return self.saved.saved_at if self.saved else None

    @property
    def origin(self) -> Mapping[str, Any]:
        """What a run's provenance says of what its guest has started from."""
        made_of = self.qemu.record.launched_from
        if tag := self.qemu.record.template:
            return {**made_of, "snapshot": tag, "snapshot_saved_at": self.saved_at}
        if self.saved:
            return {**made_of, **(self.saved.origin or {"reset": str(Reset.REBOOT)})}
        return made_of


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
        self._saved: MachineSnapshot | None = None
        self._qemu: Qemu | None = None  # to be ended
        # Held until QEMU has ended: it would do that 15 ms later if its tap went with it.
        self._tap: Tap | None = None

    async def launch(self, troubles: MutableMapping[int, Mapping[str, Any]]) -> Launched:
        """A new QEMU, whose guest has only begun to boot, goes on from the template, or stands
        still for its saved state. To be ended by :meth:`end`.

        :param troubles: told what is wrong with one that does not start, by slot.
        :raises LaunchError: if QEMU does not start.
        :raises MachineDiedError: if it is killed before its guest goes on from the template.
        :raises MachineError: if nobody can tell which image it has.
        :raises HostError: if the host lacks something.
        """
        slot, templates = self._slot, self._kind.templates
        if templates:
            async with templates.held(self._make) as template:
                try:
                    if template:
                        return Launched(await self._clone(template), template=template)
                except MachineError as error:
                    assert template, "it was tried"
                    await self.end()
                    if _killed(error):
                        raise
                    await templates.drop(template, str(error))
        if saved := self._snapshot():
            await saved.find()
        paused = saved is not None and saved.snapshot is not None
        try:
            qemu = await self._enter(paused=paused)
        except LaunchError as error:
            told, troubles[slot.number] = of_launch(error, slot.name)
            raise told from error
        # Whoever replaced a file meanwhile was quicker than QEMU, or was not: nobody knows.
        if qemu.record.launched_from != await launched_from(self._kind.profile):
            raise MachineError(f"{slot.name}: image or QEMU has changed while it was launched")
        return Launched(qemu, saved)

    async def proved(self, launched: Launched, error: MachineError | None = None) -> None:
        """Whether a machine that was launched has got ready tells whether its template serves.

        :param error: why it has not.
        """
        templates, template = self._kind.templates, launched.template
        if templates is None or template is None:
            return
        if error is None:
            templates.proved()
        elif not _killed(error):
            await templates.drop(template, error.message)

    async def adopt(self, record: MachineRecord) -> Launched:
        """The QEMU that an engine before us launched; whether it is of use, :meth:`check` tells.
        To be ended by :meth:`end`; where it cannot be adopted, it is.

        :raises AdoptionError: if it has ended, or does not answer.
        """
        saved = None if record.template else self._snapshot()
        self._qemu = await adopt(record, directory=self._directory, inotify=self._network.inotify)
        return Launched(self._qemu, saved)

    async def check(self, launched: Launched) -> None:
        """Take over an adopted QEMU's tap.

        :raises AdoptionError: if it is not what :meth:`launch` would give, or its tap is gone.
        """
        slot, qemu, templates = self._slot, launched.qemu, self._kind.templates
        tag = qemu.record.template
        if not qemu.record.fingerprint:
            raise AdoptionError(f"{slot.name}: its launch was not finished")
        if (
            qemu.record.fingerprint != self._kind.fingerprint(slot)
            or qemu.record.launched_from != await launched_from(self._kind.profile)
            or (tag and templates is None)
            or (tag and templates and not is_of(tag, await templates.key()))
        ):
            raise AdoptionError(f"{slot.name}: is not what would be launched now")
        if not await self._network.adopt_tap(slot, qemu.pid):
            raise AdoptionError(f"{slot.name}: its tap {slot.tap} is gone")
        if tag:
            self._network.told(slot)

    async def end(self) -> None:
        """End what there is, or let go of it if it is to be left running."""
        self._network.let_tap_go(self._slot)  # before QEMU ends, and its tap with it
        qemu, self._qemu = self._qemu, None
        if qemu is None:
            return
        if qemu.record.template:
            self._network.leases.forget(self._slot.mac)
        try:
            await qemu.end()
        finally:
            self._close_tap()

    def close(self) -> None:
        """Give back what is held for the next launch; all that was launched has ended."""
        if self._saved:
            self._saved.close()

    def _close_tap(self) -> None:
        tap, self._tap = self._tap, None
        if tap:
            self._network.close_tap(tap)

    def _snapshot(self) -> MachineSnapshot | None:
        kind = self._kind
        if self._saved is None and kind.reset is Reset.SNAPSHOT and kind.snapshots:
            network = self._network.network
            self._saved = MachineSnapshot(self._slot, kind, network, kind.snapshots)
        return self._saved

    async def _enter(
        self,
        *,
        mac: str | None = None,
        paused: bool = False,
        memory: MemoryFile | None = None,
        template: Template | None = None,
        fingerprint: str | None = None,
    ) -> Qemu:
        kind, slot = self._kind, self._slot
        made_of = await launched_from(kind.profile)
        if template:  # its guest has booted before
            made_of["image_sha256"] = template.key.facts["image"]
        with await self._network.open_tap(slot) as tap:
            try:
                self._tap = tap.copy()
                self._qemu = await launch(
                    kind.profile,
                    slot.name,
                    directory=self._directory,
                    accelerator=kind.accelerator,
                    inotify=self._network.inotify,
                    namespace=self._network.namespace,
                    tap=tap,
                    mac=mac or slot.mac,
                    user=kind.user,
                    icount=kind.icount,
                    paused=paused,
                    slot=slot.number,
                    fingerprint=kind.fingerprint(slot) if fingerprint is None else fingerprint,
                    memory=template.memory if template else memory,
                    template=template.tag if template else "",
                    template_saved_at=template.saved_at if template else None,
                    launched_from=made_of,
                )
            except BaseException:
                self._network.let_tap_go(slot)  # it is no loss where there is no QEMU
                self._close_tap()
                raise
        return self._qemu

    async def _clone(self, template: Template) -> Qemu:
        """A QEMU whose guest goes on from the template, and knows who it is.

        :raises MachineError: if anything of that fails.
        """
        slot, limit_s = self._slot, min(RESTORED_S, self._kind.profile.boot_timeout_s)
        qemu = await self._enter(template=template, fingerprint="")
        qemu.log.restored()
        try:
            with template.state.opened() as state:
                await restore(qemu, state, timeout_s=limit_s)
            async with control_port(slot.name, qemu.control) as control:
                wrong_s = await control.tell(slot, self._network.network, limit_s)
        except MachineError as error:
            with suppress(MachineError):
                await qemu.qmp.status()
            if died := await qemu.death():  # that is all that is wrong
                raise died from error
            raise
        log.debug("%s: from the template, its clock within %.3f s", slot.name, wrong_s)
        self._network.told(slot)
        # Only now can another engine adopt it: one that was not told would wait for that for good.
        qemu.record = replace(qemu.record, fingerprint=self._kind.fingerprint(slot))
        self._directory.note_machine(qemu.record)
        return qemu

    async def _make(self, template: Template) -> None:
        """Boot the slot's machine as nobody in particular, and save its state as the template.

        :raises TaskgenError: if that fails.
        """
        limit_s = self._kind.profile.boot_timeout_s
        nobody = nobodys_mac(self._network.network)
        try:
            # No engine adopts it: its fingerprint is that of no machine. And it boots only once we
            # listen: its word comes once, whoever held us up meanwhile.
            qemu = await self._enter(
                mac=nobody, paused=True, memory=template.memory, fingerprint=""
            )
            await check_disks(qemu.qmp)
            async with control_port(self._slot.name, qemu.control) as control:
                await qemu.qmp.execute("cont")
                await control.wait_ready(limit_s)
            with template.state.opened() as state:
                await save(qemu, state, timeout_s=limit_s)
        finally:
            await self.end()


def _killed(error: MachineError) -> bool:
    """Whether a template has nothing to do with it."""
    return isinstance(error, MachineDiedError) and error.killed

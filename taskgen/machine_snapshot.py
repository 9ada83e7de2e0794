"""The saved state of one machine: found, made, gone back to, given up.

Where it cannot be had, for whatever reason, the machine does without: it boots.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from taskgen.errors import AdoptionError, MachineError, SnapshotError, TaskgenError
from taskgen.host.qmp import Qmp
from taskgen.host.snapshot_drive import SnapshotDrive, check_disks
from taskgen.host.snapshot_file import Key, Place, Snapshot
from taskgen.host.snapshot_store import SnapshotStore
from taskgen.host.waiting import in_thread
from taskgen.machine_kind import MachineKind
from taskgen.slots import Network, Slot
from taskgen.snapshot_key import snapshot_key

log = logging.getLogger(__name__)

#: A disk has less left where QEMU could not go on to write; and so much more must there be at
#: least until what failed is tried again.
FULL_BYTES = 4 << 20


@dataclass(frozen=True)
class _Saved:
    """A state of which it is not known yet whether a guest answers from it."""

    tag: str
    address: str
    saved_at: float


class MachineSnapshot:
    """For one machine: :meth:`find` before each launch of a QEMU for it, :meth:`attach` after it,
    :meth:`close` at last.

    :param kind: what the machine is.
    """

    def __init__(
        self, slot: Slot, kind: MachineKind, network: Network, store: SnapshotStore
    ) -> None:
        self._useless = ""  # why there is no state; empty: there is, or can be
        self._room = 0  # that there was when there was none
        self._slot = slot
        self._kind = kind
        self._network = network
        self._store = store
        self._key: Key | None = None
        self._place: Place | None = None
        self._drive: SnapshotDrive | None = None
        self._unproven: _Saved | None = None

    @property
    def snapshot(self) -> Snapshot | None:
        """What the machine can go back to."""
        return self._place.snapshot if self._place else None

    @property
    def saved_at(self) -> float | None:
        """When the state was saved, seconds since the epoch; ``None``: there is none."""
        return self.snapshot.saved_at if self.snapshot else None

    @property
    def address(self) -> str:
        """The guest's in the state that there is; empty: there is none."""
        state = self.snapshot or self._unproven
        return state.address if state else ""

    @property
    def origin(self) -> Mapping[str, Any]:
        """What a run's provenance says of it; empty: there is none."""
        if (found := self.snapshot) is None:
            return {}
        return {"snapshot": found.tag, "snapshot_saved_at": found.saved_at}

    async def find(self) -> None:
        """Look for a state that a machine which is launched now could go on from.

        The one that the last QEMU of the machine had is not looked at as a whole again.
        """
        try:
            key = await snapshot_key(self._kind, self._slot, self._network)
            if self.snapshot is None or key != self._key or not await self._still_ours():
                self.close()
                self._key = key
                self._place = await in_thread(None, self._store.take, key, undo=Place.close)
        except (OSError, TaskgenError) as error:
            self._do_without(str(error))

    async def attach(self, qmp: Qmp) -> None:
        """Give the place of the state to the QEMU that was launched.

        :raises MachineError: if QEMU does not answer.
        """
        if self._place is None:
            return
        self._drive = SnapshotDrive(qmp)
        try:
            await self._check_key()
        except SnapshotError as error:
            await self.do_without(error)
            return
        if self._place.snapshot is None:
            await self._open_new()
            return
        try:
            await self._drive.open(self._place.file, self._place.name, new=False)
            if not await self._drive.has(self._place.snapshot.tag):
                raise SnapshotError(f"{self._slot.name}: it is not in its file")
        except MachineError as error:
            await qmp.status()  # if QEMU has died, that is all that is wrong
            await self.drop(error)

    async def adopt(self, qmp: Qmp) -> None:
        """Find the state of a QEMU that an engine before us launched.

        :raises AdoptionError: if there is none, or not for certain. What was launched would have
            one.
        :raises MachineError: if QEMU does not answer.
        """
        try:
            self._key = await snapshot_key(self._kind, self._slot, self._network)
        except (OSError, TaskgenError) as error:
            raise AdoptionError(f"{self._slot.name}: {error}") from error
        self._drive = SnapshotDrive(qmp)
        name = await self._drive.found()
        self._place = await in_thread(None, self._store.of, name) if name else None
        found = self.snapshot
        if found is None or found.key != self._key or not await self._drive.has(found.tag):
            raise AdoptionError(f"{self._slot.name}: it has no saved state to go back to")

    async def possible(self) -> bool:
        """Whether a state of the machine can be saved, as far as that is known before.

        What failed is tried again when there is more room: each try costs another boot.
        """
        if self._drive is None or self._place is None:
            return False
        if self._useless and await self._room_now() < self._room + FULL_BYTES:
            return False
        try:
            await self._check_key()
            await self._check_room()
            if self._useless:
                self._useless = ""
                await self._open_new()
            await check_disks(self._drive.qmp)
        except SnapshotError as error:
            await self.do_without(error)
        return not self._useless

    async def save(self, address: str) -> None:
        """Save the machine's state, which counts only after :meth:`keep`.

        :param address: the guest's.
        :raises MachineError: if that fails.
        """
        assert self._drive is not None, "there is a QEMU"
        self._unproven = _Saved(f"taskgen-{secrets.token_hex(8)}", address, time.time())
        try:
            await self._drive.save(self._unproven.tag)
        except MachineError as error:
            if await self._room_now() < FULL_BYTES:
                raise SnapshotError(f"{self._store.path}: the disk is full") from error
            raise
        await self._check_room()

    async def load(self) -> None:
        """Have the machine go on from its state, or from one that was just saved.

        :raises MachineError: if that fails.
        """
        assert self._drive is not None, "there is a QEMU"
        state = self.snapshot or self._unproven
        assert state is not None, "there is a state"
        await self._drive.load(state.tag)
        if self._place and self.snapshot:
            self._place.used()

    async def keep(self) -> None:
        """The state that was just saved counts from now on: a guest has answered from it.

        :raises SnapshotError: if that cannot be noted.
        """
        assert self._place, "there is a place"
        assert self._key, "it was looked for"
        assert self._unproven, "there is a state"
        place, key, new = self._place, self._key, self._unproven
        try:
            await in_thread(
                None,
                lambda: place.keep(key, tag=new.tag, address=new.address, saved_at=new.saved_at),
            )
        except OSError as error:
            raise SnapshotError(f"{place.path}: {error.strerror}") from error
        self._store.can(self._slot.name)
        log.info("%s: its state is saved", self._slot.name)

    async def drop(self, error: MachineError) -> None:
        """What there is does not serve; another one can be saved in its place.

        :raises MachineError: if QEMU does not answer.
        """
        assert self._place, "there is a state"
        assert self._drive, "there is a QEMU"
        log.warning("%s: its saved state is dropped: %s", self._slot.name, error)
        self._place.forget()
        await self._drive.close()
        await in_thread(None, self._place.empty)
        await self._open_new()

    async def do_without(self, error: MachineError) -> None:
        """No state of this QEMU's machine can be had."""
        self._do_without(str(error))
        if self._place and self._drive:
            with suppress(MachineError):
                await self._drive.close()
                await in_thread(None, self._place.empty)
        self._room = await self._room_now()

    def close(self) -> None:
        """The machine has ended, or is let go."""
        self._store.can(self._slot.name)
        self._useless = ""
        if self._place:
            self._place.close()
            self._place = None

    async def _still_ours(self) -> bool:
        assert self._place, "there is a state"
        return await in_thread(None, self._place.hold)

    async def _open_new(self) -> None:
        assert self._place, "it was taken"
        assert self._drive, "there is a QEMU"
        try:
            await self._drive.open(self._place.file, self._place.name, new=True)
        except MachineError as error:
            self._do_without(str(error))

    async def _room_now(self) -> int:
        return await in_thread(None, self._store.room)

    async def _check_room(self) -> None:
        try:
            room = await in_thread(None, self._store.make_room)
        except OSError as error:
            raise SnapshotError(f"{self._store.path}: {error.strerror}") from error
        if not room:
            raise SnapshotError(
                f"{self._slot.name}: there is no room for its state",
                hint="snapshots.megabytes in the settings says how much there is",
            )

    async def _check_key(self) -> None:
        """What QEMU has open may be other files than those that were looked at before."""
        try:
            now = await snapshot_key(self._kind, self._slot, self._network)
        except (OSError, TaskgenError) as error:
            raise SnapshotError(f"{self._slot.name}: {error}") from error
        if now != self._key:
            raise SnapshotError(f"{self._slot.name}: image or QEMU has changed since its launch")

    def _do_without(self, why: str) -> None:
        self._useless = why
        if self._place:
            self._place.forget()
        self._store.cannot(self._slot.name, why)

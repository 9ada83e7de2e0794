"""Where one QEMU keeps its machine's saved state: an image that no device of the guest's has.

All of it is done by QMP: a machine that runs can be given such an image, and a broken one is an
answer of QEMU's, not its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from taskgen.errors import MachineError, SnapshotError
from taskgen.host.qmp import Qmp
from taskgen.host.qmp_jobs import run_job

#: QEMU's names for the image, and for the file that it is in.
_IMAGE, _FILE = "snapshots", "snapshots-file"

#: In the label of the file; behind it stands the name of the snapshot.
_LABEL = "taskgen snapshot "

#: Of the disk that the image pretends to be; saved states lie behind its end.
_DISK_BYTES = 1 << 20

#: Limits: on a busy host 768 MB of a guest's memory were saved within 4 s.
_SAVE_S, _LOAD_S, _SHORT_S = 120.0, 60.0, 20.0


async def check_disks(qmp: Qmp) -> None:
    """See that all that a guest can write to is saved with it.

    :raises SnapshotError: if it has a disk that is not.
    :raises MachineError: if QEMU does not answer.
    """
    devices = await qmp.execute("query-block")
    assert isinstance(devices, list), "query-block returns a list"
    disks = [each for each in devices if not each.get("inserted", {"ro": True})["ro"]]
    if names := ", ".join(each["device"] or each.get("qdev", "a disk") for each in disks):
        raise SnapshotError(f"{qmp.name}: its guest can write to {names}")


class SnapshotDrive:
    """The image of one QEMU. There is one after :meth:`open` or :meth:`found`."""

    def __init__(self, qmp: Qmp) -> None:
        self.qmp = qmp
        self._is_open = False
        self._given: dict[str, str] = {}  # paths of QEMU's for files that it keeps, by name

    async def open(self, file: int, name: str, *, new: bool) -> None:
        """Have QEMU open an image; it has a copy of the descriptor then, for as long as it runs.

        :param file: open to read and write.
        :param name: of the snapshot.
        :param new: the file is empty, and an image is to be made in it.
        :raises MachineError: if it is not an image, or cannot be written.
        """
        if name not in self._given:
            self._given[name] = await self.qmp.add_file(file, _LABEL + name)
        path = self._given[name]
        options = {"driver": "file", "node-name": _FILE, "filename": path}
        # What a loss of power leaves is told by a checksum: nothing has to wait for the disk.
        cache = {"cache": {"no-flush": True}}
        await self.qmp.execute("blockdev-add", {**options, **cache})
        try:
            if new:
                made = {"driver": "qcow2", "file": _FILE, "size": _DISK_BYTES}
                await self._job("blockdev-create", {"options": made}, _SHORT_S)
            options = {"driver": "qcow2", "node-name": _IMAGE, "file": _FILE}
            await self.qmp.execute("blockdev-add", {**options, **cache}, timeout_s=_SHORT_S)
        except MachineError:
            await self._remove(_FILE)
            raise
        self._is_open = True

    async def found(self) -> str | None:
        """The name of the snapshot whose file this QEMU has open; ``None``: it has none.

        :raises MachineError: if QEMU does not answer.
        """
        nodes = await self._nodes()
        sets = await self.qmp.execute("query-fdsets")
        assert isinstance(sets, list), "query-fdsets returns a list"
        paths = {node["file"] for node in nodes}
        for each in sets:
            for fd in each["fds"]:
                label = str(fd.get("opaque", ""))
                path = f"/dev/fdset/{each['fdset-id']}"
                if label.startswith(_LABEL) and path in paths:
                    self._is_open = True
                    name = label.removeprefix(_LABEL)
                    self._given[name] = path
                    return name
        return None

    async def has(self, tag: str) -> bool:
        """Whether a state of that name is in it.

        :raises MachineError: if QEMU does not answer.
        """
        return any(
            saved["name"] == tag
            for node in await self._nodes()
            for saved in node["image"].get("snapshots", ())
        )

    async def save(self, tag: str) -> None:
        """Save the machine's state. It stands still meanwhile, and then goes on as it was.

        :raises MachineError: if that fails, as on a full disk.
        """
        where = {"tag": tag, "vmstate": _IMAGE, "devices": [_IMAGE]}
        await self._job("snapshot-save", where, _SAVE_S)

    async def load(self, tag: str) -> None:
        """Have the machine go on from a saved state.

        :raises MachineError: if that fails; the machine stands still then, and may have a part of
            that state.
        """
        where = {"tag": tag, "vmstate": _IMAGE, "devices": [_IMAGE]}
        await self._job("snapshot-load", where, _LOAD_S)
        if await self.qmp.status() != "running":  # it was launched to stand still
            await self.qmp.execute("cont")

    async def close(self) -> None:
        """Have QEMU forget the image: its file may be changed now. Nothing happens without one.

        :raises MachineError: if QEMU does not do it.
        """
        if self._is_open:
            await self.qmp.execute("blockdev-del", {"node-name": _IMAGE})
            await self.qmp.execute("blockdev-del", {"node-name": _FILE})
            self._is_open = False

    async def _nodes(self) -> list[dict[str, Any]]:
        nodes = await self.qmp.execute("query-named-block-nodes", {"flat": True})
        assert isinstance(nodes, list), "query-named-block-nodes returns a list"
        return [node for node in nodes if node.get("node-name") == _IMAGE]

    async def _job(self, command: str, arguments: Mapping[str, object], limit_s: float) -> None:
        await run_job(self.qmp, command, arguments, timeout_s=limit_s)

    async def _remove(self, node: str) -> None:
        with suppress(MachineError):
            await self.qmp.execute("blockdev-del", {"node-name": node})

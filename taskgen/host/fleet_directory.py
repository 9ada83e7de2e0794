"""A fleet's directory: what it notes about itself, and where its machines' files lie."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from taskgen.errors import HostError, NamespaceBusyError, PrivilegeError
from taskgen.host.accounts import Account
from taskgen.host.console_logs import ConsoleLogs
from taskgen.host.fleet_locks import (
    exclusive,
    lock_machines,
    make_directory,
    remove_directory,
    take_lock,
)
from taskgen.host.records import (
    FLEET_FILE,
    FleetRecord,
    Kind,
    MachineRecord,
    clear_machines,
    machine_records,
    read_json,
    remove_machine,
    remove_torn,
    run_root,
    write_json,
)


class FleetDirectory:
    """A fleet's directory, locked by this process. Made by :meth:`create` or :meth:`adopt`.

    :ivar path: below :func:`run_root`.
    :ivar consoles: the logs of its machines' consoles; a daemon's outlive it, with the state.
    :ivar adopted: whether a dead daemon had made it, whose machines may still be at work.
    """

    def __init__(
        self, path: Path, record: FleetRecord, locks: list[int], *, adopted: bool = False
    ) -> None:
        self.path = path
        self.record = record
        self.adopted = adopted
        self.consoles = ConsoleLogs(record.consoles_of(path))
        self._locks = locks

    @classmethod
    def create(
        cls,
        name: str,
        *,
        kind: Kind,
        namespace: str,
        machines: Path | None = None,
        network: str = "",
        uplink: str = "",
        existing_bridge: bool = False,
    ) -> FleetDirectory:
        """Make and lock the directory of a new fleet. Blocks for milliseconds at most.

        :param machines: where the machines' records and directories lie, made where it is missing;
            ``None``: in the fleet's directory.
        :param network: fingerprint of the network's description.
        :param uplink: see :class:`FleetRecord`, as for ``existing_bridge``.
        :raises NamespaceBusyError: if there is a fleet of this name, alive or left by a crash, or
            one with these machines.
        :raises PrivilegeError: if the directory cannot be made.
        """
        root = run_root()
        record = FleetRecord(
            name=name,
            kind=kind,
            namespace=namespace,
            machines=str(machines.absolute()) if machines else None,
            network=network,
            uplink=uplink,
            existing_bridge=existing_bridge,
        )
        path = root / name
        try:
            with exclusive(root):
                make_directory(path, 0o711)
                lock = take_lock(path)
                assert lock is not None, "a directory just made, below a lock"
        except FileExistsError as error:
            raise NamespaceBusyError(
                f"there is a fleet {name!r} already: {path}",
                hint="it is running, or a crash left it: see taskgen down",
            ) from error
        except PermissionError as error:
            raise PrivilegeError(
                f"{path}: {error.strerror}", hint="run as root (sudo taskgen …)"
            ) from error
        directory = cls(path, record, [lock])
        try:
            directory._take_machines()
            if (directory.machines / FLEET_FILE).exists() or directory.machine_records():
                raise NamespaceBusyError(
                    f"{directory.machines}: a crash left machines here",
                    hint="remove them: taskgen down",
                )
            directory._write_record()
        except BaseException:
            directory._remove()
            raise
        return directory

    @classmethod
    def adopt(cls, name: str) -> FleetDirectory | None:
        """Lock the directory that a dead daemon left; ``None``: there is none.

        Blocks for milliseconds at most.

        :raises NamespaceBusyError: if its daemon lives.
        :raises ConfigError: if another version of Taskgen wrote its records.
        """
        root = run_root()
        path = root / name
        if not path.exists():
            return None
        with exclusive(root), ExitStack() as stack:
            if not (path / "fleet.lock").exists() and any(path.iterdir()):
                return None  # not a fleet's: its lock is the first file in it
            if (lock := take_lock(path)) is None:
                raise NamespaceBusyError(
                    f"fleet {name!r} is in use: {path}", hint="another taskgen daemon is running"
                )
            stack.callback(os.close, lock)
            if not (path / FLEET_FILE).exists():  # it died before it made anything
                shutil.rmtree(path)
                return None
            record = read_json(path / FLEET_FILE, FleetRecord)
            if record.kind is not Kind.DAEMON:
                return None
            stack.pop_all()
            directory = cls(path, replace(record, pid=os.getpid()), [lock], adopted=True)
            stack.callback(directory.release)
            directory._take_machines()
            remove_torn(directory.machines)
            directory.machine_records()
            directory._write_record()
            stack.pop_all()
            return directory

    @property
    def machines(self) -> Path:
        """Where the machines' records and directories lie."""
        return self.record.machines_of(self.path)

    def machine(self, name: str) -> Path:
        """The directory of a machine."""
        return self.machines / name

    def machine_records(self) -> list[MachineRecord]:
        """What is noted of machines: those that run, and after a crash those that may.

        :raises ConfigError: if another version of Taskgen wrote one.
        """
        return machine_records(self.machines)

    def add_machine(self, record: MachineRecord, owner: Account | None) -> Path:
        """Note a machine that is about to be started, and make its directory.

        :param owner: the user that its QEMU runs as; ``None``: this one.
        :raises FileExistsError: if there is a machine of this name.
        :raises HostError: if that user cannot get to the directory.
        """
        path = self.machine(record.name)
        if owner:
            _check_passable(self.machines, owner)
        if path.exists():
            raise FileExistsError(f"there is a machine {record.name!r} already: {path}")
        try:
            self.note_machine(record)
            make_directory(path, 0o700)  # only now: no directory is ever without its record
            if owner:
                os.chown(path, owner.uid, owner.gid)
        except BaseException:
            self.remove_machine(record.name)
            raise
        return path

    def note_machine(self, record: MachineRecord) -> None:
        """Note what is known of a machine by now.

        :raises OSError: if that cannot be.
        """
        write_json(self.machines / f"{record.name}.json", record)

    def remove_machine(self, name: str) -> None:
        """Remove a machine's directory, then its record; its process has ended."""
        remove_machine(self.machines, name)

    def release(self) -> None:
        """Unlock it and leave all as it is, for the next daemon. May be called again."""
        while self._locks:
            os.close(self._locks.pop())

    def close(self) -> None:
        """Remove it, and its machines' directories; everything in the records was released."""
        if self.record.machines:
            clear_machines(self.machines)
        self._remove()

    def _remove(self) -> None:
        try:
            remove_directory(self.path)
        finally:
            self.release()

    def _write_record(self) -> None:
        if self.record.machines:  # where it is still known when /run is empty
            write_json(self.machines / FLEET_FILE, self.record)
        write_json(self.path / FLEET_FILE, self.record)

    def _take_machines(self) -> None:
        machines = self.machines
        if not machines.exists():
            machines.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
            make_directory(machines, 0o711)
        if self.record.machines:
            if (lock := lock_machines(machines)) is None:
                raise NamespaceBusyError(
                    f"{machines}: in use by another fleet",
                    hint="another taskgen daemon is running with this state directory",
                )
            self._locks.append(lock)


def _check_passable(path: Path, user: Account) -> None:
    for directory in (path, *path.parents):
        status = directory.stat()
        if not status.st_mode & stat.S_IXOTH and user.uid not in (0, status.st_uid):
            raise HostError(
                f"{directory}: the user that QEMU runs as cannot pass it",
                hint=f"chmod o+x {directory}",
            )

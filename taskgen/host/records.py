"""What a fleet notes about itself on disk, so that whoever comes after a crash knows what is ours.

::

    /run/taskgen/            0711  TASKGEN_RUN
      NAME/                  0711  one fleet
        fleet.lock                 locked by the live engine; who can lock it knows that it is dead
        fleet.json                 FleetRecord, written before anything else is made
        dnsmasq.*
        machines/            0711
          taskgen-1.json           MachineRecord, written before the process is started
          taskgen-1/         0700  the QEMU user's: console, QMP socket
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from taskgen.config import STRICT, convert
from taskgen.errors import ConfigError, NamespaceBusyError, PrivilegeError
from taskgen.host.accounts import Account

T = TypeVar("T")

_VERSION = 1


class Kind(StrEnum):
    """Whose fleet it is: dead embedded ones are swept, a dead daemon's is left for the next."""

    EMBEDDED = "embedded"
    DAEMON = "daemon"


@dataclass(frozen=True, kw_only=True)
class FleetRecord:
    """``fleet.json``.

    :ivar id: unique; what the fleet's namespace and bridge are marked with.
    :ivar namespace: the network namespace's name; empty: the host's own.
    :ivar pid: of the engine that made it, for messages only.
    :ivar created: seconds since the epoch.
    """

    __pydantic_config__ = STRICT

    name: str
    kind: Kind
    namespace: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    pid: int = field(default_factory=os.getpid)
    created: float = field(default_factory=time.time)
    version: int = _VERSION

    @property
    def mark(self) -> str:
        """The alias of the devices that this fleet made."""
        return f"taskgen {self.id}"


@dataclass(frozen=True, kw_only=True)
class MachineRecord:
    """``machines/NAME.json``.

    :ivar uuid: on the command line of the machine's QEMU.
    """

    __pydantic_config__ = STRICT

    name: str
    profile: str
    accelerator: str
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)
    version: int = _VERSION


def run_root() -> Path:
    """Where the fleets' directories are: ``TASKGEN_RUN`` or ``/run/taskgen``."""
    return Path(os.environ.get("TASKGEN_RUN") or "/run/taskgen").absolute()


def state_root() -> Path:
    """Where what outlives a reboot is: ``TASKGEN_STATE`` or ``/var/lib/taskgen``."""
    return Path(os.environ.get("TASKGEN_STATE") or "/var/lib/taskgen").absolute()


def embedded_name() -> str:
    """A fresh name for an embedded engine's fleet, and for its namespace."""
    return f"taskgen-{secrets.token_hex(4)}"


class FleetDirectory:
    """A fleet's directory, locked by this process."""

    def __init__(self, path: Path, record: FleetRecord, lock: int) -> None:
        self.path = path
        self.record = record
        self._lock = lock

    @classmethod
    def create(cls, name: str, *, kind: Kind, namespace: str) -> FleetDirectory:
        """Make and lock the directory of a new fleet. Blocks for milliseconds at most.

        :raises NamespaceBusyError: if there is a fleet of this name, alive or left by a crash.
        :raises PrivilegeError: if the directory cannot be made.
        """
        root = run_root()
        record = FleetRecord(name=name, kind=kind, namespace=namespace)
        path = root / name
        try:
            with exclusive(root):
                _make_directory(path, 0o711)
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
        directory = cls(path, record, lock)
        try:
            write_json(path / "fleet.json", record)
            _make_directory(path / "machines", 0o711)
        except BaseException:
            directory.close()
            raise
        return directory

    def machine(self, name: str) -> Path:
        """The directory of a machine."""
        return self.path / "machines" / name

    def add_machine(self, record: MachineRecord, owner: Account | None) -> Path:
        """Note a machine that is about to be started, and make its directory.

        :param owner: the user that its QEMU runs as; ``None``: this one.
        """
        path = self.machine(record.name)
        _make_directory(path, 0o700)
        try:
            write_json(self.path / "machines" / f"{record.name}.json", record)
            if owner:
                os.chown(path, owner.uid, owner.gid)
        except BaseException:
            self.remove_machine(record.name)
            raise
        return path

    def remove_machine(self, name: str) -> None:
        """Remove a machine's directory, then its record; its process has ended."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.machine(name))
        (self.path / "machines" / f"{name}.json").unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the directory; everything in the records has been released."""
        try:
            remove_directory(self.path)
        finally:
            os.close(self._lock)


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Lock the directory of all fleets, for looking at and changing what is in it.

    It is made where it is missing, and removed again when nothing is in it any more.
    """
    while True:
        if not root.exists():
            root.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                _make_directory(root, 0o711)
        lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _still_is(root, lock):  # else it was removed while we waited: again
                yield
                return
        finally:
            with suppress(OSError):  # not empty, or not there
                root.rmdir()
            os.close(lock)


def _still_is(path: Path, fd: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.stat())
    return False


def _make_directory(path: Path, mode: int) -> None:
    path.mkdir()
    path.chmod(mode)  # whatever the umask is: the QEMU user must pass the upper ones


def take_lock(path: Path) -> int | None:
    """Lock a fleet's directory; ``None`` if its engine lives. Close the result to unlock."""
    lock = os.open(path / "fleet.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def remove_directory(path: Path) -> None:
    """Remove a fleet's directory."""
    with exclusive(path.parent):
        shutil.rmtree(path)


def write_json(path: Path, record: FleetRecord | MachineRecord) -> None:
    """Write a record, whole or not at all."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_json(path: Path, cls: type[T]) -> T:
    """Read a record.

    :raises ConfigError: if it cannot be read, or another version of Taskgen wrote it.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict) or data.get("version") != _VERSION:
        raise ConfigError(f"{path}: written by another version of Taskgen")
    return convert(data, cls, source=str(path))

"""What a fleet notes about itself on disk, so that whoever comes after a crash knows what is ours.

::

    /run/taskgen/            0711  TASKGEN_RUN
      NAME/                  0711  one fleet
        fleet.lock                 locked by the live engine; who can lock it knows that it is dead
        fleet.json                 FleetRecord, written before anything else is made
        links.json                 what was done to links of the host's; see taskgen.host.link_notes
        dnsmasq.*
        dhcpd/               0755  instead of them, where dhcp.server = "isc"
        machines/            0711
          taskgen-1.json           MachineRecord, written before the process is started
          taskgen-1.boot           what its guest was sent; see taskgen.boot_notes
          taskgen-1/         0700  the QEMU user's: console and QMP sockets
        consoles/            0700  what the machines' consoles said; see taskgen.host.console_log

A daemon's machines outlive it, so these two directories lie with its state, in ``TASKGEN_STATE``,
with a copy of ``fleet.json``: the run directory is empty after a reboot.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from taskgen.config import STRICT, convert
from taskgen.errors import ConfigError
from taskgen.whole_file import whole_file

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = logging.getLogger(__name__)

T = TypeVar("T")

#: The fleet's own record, beside those of its machines where these lie elsewhere.
FLEET_FILE = "fleet.json"

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
    :ivar pid: of the engine that made or adopted it; what it says is checked before use.
    :ivar created: seconds since the epoch.
    :ivar machines: directory of the machines' records and directories; ``None``: in the fleet's.
    :ivar network: fingerprint of the network's description; a fleet goes on only with the same.
    :ivar uplink: the host's port that joins the fleet to a LAN; empty: none does.
    :ivar existing_bridge: whether the bridge is the host's own.
    """

    __pydantic_config__ = STRICT

    name: str
    kind: Kind
    namespace: str
    machines: str | None = None
    network: str = ""
    uplink: str = ""
    existing_bridge: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    pid: int = field(default_factory=os.getpid)
    created: float = field(default_factory=time.time)
    version: int = _VERSION

    @property
    def mark(self) -> str:
        """The alias of the devices that this fleet made."""
        return f"taskgen {self.id}"

    def machines_of(self, path: Path) -> Path:
        """Where the machines' records and directories lie, if the fleet's directory is ``path``."""
        return Path(self.machines) if self.machines else path / "machines"

    def consoles_of(self, path: Path) -> Path:
        """Where the logs of the machines' consoles lie: beside the machines."""
        return self.machines_of(path).with_name("consoles")


@dataclass(frozen=True, kw_only=True)
class MachineRecord:
    """``machines/NAME.json``.

    :ivar uuid: on the command line of the machine's QEMU.
    :ivar slot: the machine's number; 0: it is none of a fleet's slots.
    :ivar fingerprint: of all that a machine is launched with; one that differs is not adopted.
        Empty: it is not what it is to be yet.
    :ivar template: the saved state that its guest went on from; empty: it has booted.
    :ivar template_saved_at: when that was saved, seconds since the epoch.
    :ivar launched_from: what it was made of that can be another one for the next: see
        :func:`taskgen.host.origins.launched_from`.
    :ivar created: just before the launch, seconds since the epoch.
    """

    __pydantic_config__ = STRICT

    name: str
    profile: str
    accelerator: str
    slot: int = 0
    fingerprint: str = ""
    template: str = ""
    template_saved_at: float | None = None
    launched_from: dict[str, str] = field(default_factory=dict)
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


def machine_files(machines: Path) -> list[Path]:
    """The files of the machines' records in a directory of machines."""
    return sorted(file for file in machines.glob("*.json") if file.name != FLEET_FILE)


def machine_records(machines: Path) -> list[MachineRecord]:
    """The records in a directory of machines.

    :raises ConfigError: if another version of Taskgen wrote one.
    """
    return [read_json(f, MachineRecord) for f in machine_files(machines) if not is_torn(f)]


def remove_machine(machines: Path, name: str) -> None:
    """Remove a machine's directory, then its record; its process has ended."""
    with suppress(FileNotFoundError):
        shutil.rmtree(machines / name)
    for suffix in (".json.new", ".boot.new", ".boot", ".json"):
        (machines / f"{name}{suffix}").unlink(missing_ok=True)


def clear_machines(machines: Path) -> None:
    """Remove all machines' directories and records, and the directory if nothing else is in it."""
    for file in machine_files(machines):
        remove_machine(machines, file.stem)
    for name in (FLEET_FILE, f"{FLEET_FILE}.new"):
        (machines / name).unlink(missing_ok=True)
    with suppress(OSError):  # something of others is in it
        machines.rmdir()


def remove_torn(machines: Path) -> None:
    """Remove records that a power failure cut short, with their machines' directories."""
    for file in machine_files(machines):
        if is_torn(file):
            log.warning("%s: torn, so it is from before a power failure; it is removed", file)
            remove_machine(machines, file.stem)


def is_torn(file: Path) -> bool:
    """Whether the host went down while the record was on its way to the disk, and its machine too.

    A crash of ours cannot do that: a record is put in place whole.
    """
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return True
    return False


def write_json(path: Path, record: DataclassInstance) -> None:
    """Write a record, whole or not at all."""
    # A loss of power may leave it torn, but leaves no machine and no network either: see is_torn().
    with whole_file(path, durable=False) as file:
        file.write(json.dumps(asdict(record), indent=1).encode() + b"\n")


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

"""Removing what dead engines left behind, and nothing else.

A fleet is dead when its lock can be taken. What was its: the processes whose command line carries a
UUID or a configuration file of its records, the namespace and the bridge that bear its mark, its
directory, and those of its machines. All functions here block; call them in a thread of their own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from taskgen.errors import ConfigError, HostError, NamespaceBusyError, PrivilegeError
from taskgen.host import netns
from taskgen.host.bridge import delete_bridges
from taskgen.host.command_lines import end_all, is_dhcpd, is_dnsmasq, is_keeper, is_qemu
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_locks import exclusive, lock_machines, remove_directory, take_lock
from taskgen.host.link_notes import LinkNotes
from taskgen.host.living import FORCE_S, end_daemon, living_daemon
from taskgen.host.records import (
    FLEET_FILE,
    FleetRecord,
    Kind,
    clear_machines,
    is_torn,
    machine_files,
    machine_records,
    read_json,
    run_root,
    state_root,
)
from taskgen.host.uplink import delete_macvlan

log = logging.getLogger(__name__)

#: One for processes that were found, one for those whose start the first look had missed.
_LOOKS = 2


@dataclass
class Report:
    """What was removed, and what was left and why; each a line for people.

    :ivar left: because its engine lives.
    :ivar failed: what should have been removed, and could not be.
    """

    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def down(
    kinds: Collection[Kind] = tuple(Kind), *, force: bool = False, force_s: float = FORCE_S
) -> Report:
    """Remove all that dead fleets of these kinds left. What cannot be removed is in the report.

    Of a daemon's state only the machines' directories are removed, never queue or results.

    :param force: end daemons that live, and remove their fleets too. SIGTERM lets a daemon finish
        what runs; queue and results survive in any case. Embedded engines are never ended.
    :param force_s: after so many seconds it is SIGKILL.
    :raises PrivilegeError: if we are not root.
    """
    report = Report()
    if force and Kind.DAEMON in kinds:
        for path in _fleet_directories():
            try:
                report.removed += end_daemon(path, _record(path), force_s)
            except (HostError, ConfigError, OSError) as error:
                report.failed.append(f"fleet {path.name}: {error}")
    with _dead_fleets(report) as paths:
        for path in paths:
            try:
                record = _record(path)
                if record is None or record.kind in kinds:
                    report.removed += _remove(path, record)
            except (HostError, ConfigError, OSError) as error:
                report.failed.append(f"fleet {path.name}: {error}")
    if Kind.DAEMON in kinds:
        _remove_stale_state(report)
    for line in report.removed:
        log.info("removed %s", line)
    return report


def sweep() -> Report:
    """What an engine does at its start: remove the dead embedded fleets.

    A dead daemon's machines may still be at work, for the next daemon to adopt.
    """
    return down((Kind.EMBEDDED,))


def living_daemons() -> list[int]:
    """Process ids of the daemons that live and have a fleet. Changes nothing."""
    pids = []
    for path in _fleet_directories():
        with suppress(ConfigError):
            if (found := living_daemon(path, _record(path))) is not None:
                pids.append(found.pid)
                found.close()
    return pids


def living_fleets() -> list[FleetRecord]:
    """The fleets that live, of daemons and of others. Changes nothing.

    :raises PrivilegeError: if we are not root.
    """
    found = []
    with _dead_fleets(Report()) as dead:
        for path in _fleet_directories():
            with suppress(ConfigError):
                if path not in dead and (record := _record(path)):
                    found.append(record)
    return found


def leftovers() -> list[str]:
    """The dead fleets; a line for each. Changes nothing.

    :raises PrivilegeError: if we are not root.
    """
    with _dead_fleets(Report()) as paths:
        return [f"fleet {path.name}{_use(path)}" for path in paths]


def _use(path: Path) -> str:
    with suppress(ConfigError):
        if (record := _record(path)) and record.kind is Kind.DAEMON:
            return " (of a daemon: the next one goes on with it)"
    return ""


def is_ours(argv: Sequence[str], uuids: Collection[str], config: Path, fleet_id: str) -> bool:
    """Whether a command line is a QEMU's with one of the UUIDs, or that of the fleet's DHCP server
    or of the keeper of its consoles.

    :param config: dnsmasq is known by it.
    :param fleet_id: dhcpd and keeper are known by it.
    """
    if is_dhcpd(argv, fleet_id) or is_keeper(argv, fleet_id):
        return True
    return is_qemu(argv, uuids) or is_dnsmasq(argv, config)


def remove_fleet(directory: FleetDirectory) -> list[str]:
    """Remove a fleet that we hold and do not want to go on with; a line for each thing removed.

    :raises HostError: if a process does not end; all else is left then, and unlocked.
    """
    try:
        removed = _release(directory.path, directory.record)
    except BaseException:
        directory.release()
        raise
    directory.close()
    return [*removed, f"directory {directory.path}"]


def remove_stale(machines: Path) -> list[str]:
    """Remove what is left in a daemon's state of machines whose fleet's directory is gone.

    So it is after a reboot. A line for each thing that was removed.

    :raises NamespaceBusyError: if an engine that lives uses the directory.
    :raises ConfigError: if another version of Taskgen wrote the records.
    """
    if not (machines / FLEET_FILE).exists() and not machine_files(machines):
        return []
    file = machines / FLEET_FILE
    with _locked(machines):
        if file.exists() and not is_torn(file):
            record = read_json(file, FleetRecord)
            removed = _release(run_root() / record.name, record)
        else:  # the host went down in the middle: nothing of it runs but for machines, perhaps
            uuids = {each.uuid for each in machine_records(machines)}
            removed = end_all(lambda argv: is_qemu(argv, uuids))
        clear_machines(machines)
    return [*removed, f"what a daemon had left in {machines}"]


@contextmanager
def _dead_fleets(report: Report) -> Iterator[list[Path]]:
    """The directories of the dead fleets, locked while in the block; the others are reported."""
    root = run_root()
    if os.geteuid() != 0:
        raise PrivilegeError(f"{root} is root's", hint="sudo taskgen …")
    locks: dict[Path, int] = {}
    try:
        if root.is_dir():
            with exclusive(root):
                for path in _fleet_directories():
                    lock = take_lock(path)
                    if lock is None:
                        report.left.append(f"fleet {path.name}: {_owner(path)}")
                    else:
                        locks[path] = lock
        yield list(locks)
    finally:
        for lock in locks.values():
            os.close(lock)


def _fleet_directories() -> list[Path]:
    root = run_root()
    return (
        [
            path
            for path in sorted(p for p in root.iterdir() if p.is_dir())
            # In one that is a fleet's the lock is the first file.
            if (path / "fleet.lock").exists() or not any(path.iterdir())
        ]
        if root.is_dir()
        else []
    )


def _owner(path: Path) -> str:
    try:
        record = _record(path)
    except ConfigError as error:
        return str(error)
    return f"its engine lives (pid {record.pid})" if record else "its engine is starting"


def _record(path: Path) -> FleetRecord | None:
    """The fleet's record; ``None`` if it died before it wrote one, so before it made anything."""
    file = path / FLEET_FILE
    return read_json(file, FleetRecord) if file.exists() else None


def _remove(path: Path, record: FleetRecord | None) -> list[str]:
    removed = []
    if record:
        machines = record.machines_of(path)
        with _locked(machines) if machines.exists() else ExitStack():
            removed = _release(path, record)
            if record.machines:
                clear_machines(machines)
    remove_directory(path)
    return [*removed, f"directory {path}"]


def _release(path: Path, record: FleetRecord) -> list[str]:
    """End the fleet's processes and remove its network; its files stay."""
    removed = []
    uuids = {each.uuid for each in machine_records(record.machines_of(path))}
    config = path / "dnsmasq.conf"
    for _ in range(_LOOKS):
        removed += end_all(lambda argv: is_ours(argv, uuids, config, record.id))
    return removed + _remove_network(record) + LinkNotes(path).undo()


def _remove_stale_state(report: Report) -> None:
    """A daemon's machines whose fleet's directory is gone; those of a living one are locked."""
    machines = state_root() / "machines"
    try:
        report.removed += remove_stale(machines)
    except NamespaceBusyError:
        pass  # its daemon lives, and is reported as a fleet
    except (HostError, ConfigError, OSError) as error:
        report.failed.append(f"{machines}: {error}")


@contextmanager
def _locked(machines: Path) -> Iterator[None]:
    lock = lock_machines(machines)
    if lock is None:
        raise NamespaceBusyError(f"{machines}: in use by a fleet that lives")
    try:
        yield
    finally:
        os.close(lock)


def _remove_network(record: FleetRecord) -> list[str]:
    if not record.namespace:
        return [f"bridge {name}" for name in delete_bridges(record.mark)]
    name = record.namespace
    if netns.owner_mark(name) == record.mark:
        if record.uplink:
            netns.in_marked(name, record.mark, delete_macvlan)
        netns.delete(name)
        return [f"network namespace {name}"]
    if netns.remove_unfinished(name):
        return [f"unfinished network namespace {name}"]
    return []

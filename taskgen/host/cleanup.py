"""Removing what dead engines left behind, and nothing else.

A fleet is dead when its lock can be taken. What was its: the processes whose command line carries a
UUID or a configuration file of its records, the namespace and the bridge that bear its mark, its
directory. All functions here block; call them in a thread of their own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from taskgen.errors import ConfigError, HostError, PrivilegeError
from taskgen.host import netns
from taskgen.host.bridge import delete_bridges
from taskgen.host.command_lines import end_all, is_dnsmasq, is_qemu
from taskgen.host.fleet_locks import exclusive, remove_directory, take_lock
from taskgen.host.records import FleetRecord, Kind, MachineRecord, read_json, run_root

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


def down(kinds: Collection[Kind] = tuple(Kind)) -> Report:
    """Remove all that dead fleets of these kinds left. What cannot be removed is in the report.

    :raises PrivilegeError: if we are not root.
    """
    report = Report()
    with _dead_fleets(report) as paths:
        for path in paths:
            try:
                record = _record(path)
                if record is None or record.kind in kinds:
                    report.removed += _remove(path, record)
            except (HostError, ConfigError, OSError) as error:
                report.failed.append(f"fleet {path.name}: {error}")
    for line in report.removed:
        log.info("removed %s", line)
    return report


def sweep() -> Report:
    """What an engine does at its start: remove the dead embedded fleets.

    A dead daemon's machines may still be at work, for the next daemon to adopt.
    """
    return down((Kind.EMBEDDED,))


def leftovers() -> list[str]:
    """The dead fleets; a line for each. Changes nothing.

    :raises PrivilegeError: if we are not root.
    """
    with _dead_fleets(Report()) as paths:
        return [f"fleet {path.name}" for path in paths]


def is_ours(argv: Sequence[str], uuids: Collection[str], config: Path) -> bool:
    """Whether a command line is that of a QEMU with one of the UUIDs, or of the fleet's dnsmasq."""
    return is_qemu(argv, uuids) or is_dnsmasq(argv, config)


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
                for path in sorted(p for p in root.iterdir() if p.is_dir()):
                    if not (path / "fleet.lock").exists() and any(path.iterdir()):
                        continue  # not a fleet's: its lock is the first file in it
                    lock = take_lock(path)
                    if lock is None:
                        report.left.append(f"fleet {path.name}: {_owner(path)}")
                    else:
                        locks[path] = lock
        yield list(locks)
    finally:
        for lock in locks.values():
            os.close(lock)


def _owner(path: Path) -> str:
    try:
        record = _record(path)
    except ConfigError as error:
        return str(error)
    return f"its engine lives (pid {record.pid})" if record else "its engine is starting"


def _record(path: Path) -> FleetRecord | None:
    """The fleet's record; ``None`` if it died before it wrote one, so before it made anything."""
    file = path / "fleet.json"
    return read_json(file, FleetRecord) if file.exists() else None


def _remove(path: Path, record: FleetRecord | None) -> list[str]:
    removed = []
    if record:
        uuids = {read_json(f, MachineRecord).uuid for f in (path / "machines").glob("*.json")}
        config = path / "dnsmasq.conf"
        for _ in range(_LOOKS):
            removed += end_all(lambda argv: is_ours(argv, uuids, config))
        removed += _remove_network(record)
    remove_directory(path)
    return [*removed, f"directory {path}"]


def _remove_network(record: FleetRecord) -> list[str]:
    if not record.namespace:
        return [f"bridge {name}" for name in delete_bridges(record.mark)]
    name = record.namespace
    if netns.owner_mark(name) == record.mark:
        netns.delete(name)
        return [f"network namespace {name}"]
    if netns.remove_unfinished(name):
        return [f"unfinished network namespace {name}"]
    return []

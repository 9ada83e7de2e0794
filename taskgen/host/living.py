"""Ending a daemon that lives, by force of the administrator, and nobody else.

A number in a file says little: the process must have the fleet's lock open, hold it, and have a
daemon's command line, all looked at with a pidfd open, through which alone it is signalled.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from taskgen.host.command_lines import Found, end, hold
from taskgen.host.records import FleetRecord, Kind

#: How long a daemon may take to finish its runs before it is killed, which loses nothing either.
FORCE_S = 30.0


def end_daemon(path: Path, record: FleetRecord | None, limit_s: float) -> list[str]:
    """End the daemon that holds the fleet's directory; a line for it. Nothing if there is none.

    :param limit_s: seconds from SIGTERM to SIGKILL.
    :raises HostError: if it does not even die of that.
    """
    found = living_daemon(path, record)
    if found is None:
        return []
    try:
        end(found, term_s=limit_s)
        return [f"daemon, process {found.pid}"]
    finally:
        found.close()


def living_daemon(path: Path, record: FleetRecord | None) -> Found | None:
    """The daemon that holds the fleet's directory, to be closed; ``None`` if there is none."""
    if record is None or record.kind is not Kind.DAEMON:
        return None
    found = hold(record.pid, is_daemon)
    if found is not None and not holds_lock(found, path / "fleet.lock"):
        found.close()
        return None
    return found


def is_daemon(argv: Sequence[str]) -> bool:
    """Whether a command line is that of ``taskgend``, ``taskgen daemon``, or Python running one."""
    words = [os.path.basename(word) for word in argv]
    if "taskgend" in words[:4]:
        return True
    return "daemon" in words and any(word.startswith("taskgen") for word in words[:4])


def holds_lock(found: Found, lock: Path) -> bool:
    """Whether the process has the lock file open and locked."""
    with suppress(OSError):
        wanted = lock.stat()
        for link in Path(f"/proc/{found.pid}/fd").iterdir():
            with suppress(OSError):
                if os.path.samestat(link.stat(), wanted) and _is_locked(found.pid, link.name):
                    return True
    return False


def _is_locked(pid: int, descriptor: str) -> bool:
    info = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text(encoding="ascii")  # proc(5)
    return any(line.startswith("lock:") and "FLOCK" in line for line in info.splitlines())

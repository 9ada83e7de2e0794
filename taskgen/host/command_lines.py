"""Processes of this host, known by their command lines and held by pidfds.

Whoever looks for what a dead engine left has no children of its own to ask, and a number that was
noted may belong to somebody else by now. So a process is found by words that only ours has on its
command line, and it is looked at again once a pidfd of it is open: from then on it is certain
which process that is.

A process of ours that is to stay small lives by this module (:mod:`taskgen.host.console_keeper`):
nothing is imported here that takes much memory.
"""

from __future__ import annotations

import itertools
import os
import select
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress

from taskgen.errors import HostError

TYPE_CHECKING = False  # by mypy it is held to be true; typing's own would be imported
if TYPE_CHECKING:
    from pathlib import Path

#: Tells from its command line whether a process is meant.
Wanted = Callable[[Sequence[str]], bool]

#: On the command line of a keeper of consoles; ``ps`` would else show a Python.
KEEPER = "taskgen-keeper"

_TERM_S = 2.0
_KILL_S = 10.0


class Found:
    """A process that was found. The descriptor stands for it, and must be closed."""

    def __init__(self, pid: int, pidfd: int, argv: tuple[str, ...]) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.argv = argv

    def close(self) -> None:
        """Close the descriptor; the process goes on."""
        os.close(self.pidfd)

    def __str__(self) -> str:
        keeps = KEEPER in self.argv
        return f"process {self.pid} ({KEEPER if keeps else os.path.basename(self.argv[0])})"


def is_qemu(argv: Sequence[str], uuids: Collection[str]) -> bool:
    """Whether a command line is that of a QEMU with one of the UUIDs. A ``grep`` for it is not."""
    return (
        bool(argv)
        and os.path.basename(argv[0]).startswith("qemu-system-")
        and any(option == "-uuid" and value in uuids for option, value in itertools.pairwise(argv))
    )


def is_dnsmasq(argv: Sequence[str], config: Path) -> bool:
    """Whether a command line is that of the dnsmasq with this configuration file."""
    return bool(argv) and os.path.basename(argv[0]) == "dnsmasq" and f"--conf-file={config}" in argv


def is_dhcpd(argv: Sequence[str], fleet_id: str) -> bool:
    """Whether a command line is that of the fleet's dhcpd, or of what is about to become it."""
    return (
        bool(argv)
        and os.path.basename(argv[0]) in ("dhcpd", "setpriv", "sh", "unshare")
        and f"/var/lib/dhcp/dhcpd.leases.{fleet_id}" in argv
    )


def is_keeper(argv: Sequence[str], fleet_id: str) -> bool:
    """Whether a command line is that of the keeper of the fleet's consoles."""
    return (
        bool(argv)
        and os.path.basename(argv[0]).startswith("python")
        and (KEEPER, fleet_id) in itertools.pairwise(argv)
    )


def means_our_files(pid: int, argv: Sequence[str]) -> bool:
    """Whether the configuration file on a command line is the file that we mean by that path.

    A container's processes are seen from its host, and have the same paths for files of their own.
    """
    for word in argv:
        option, _, path = word.partition("=")
        if option == "--conf-file" and not _is_same(pid, path):
            return False
    return True


def _is_same(pid: int, path: str) -> bool:
    with suppress(OSError):
        try:
            ours = os.stat(path)
        except FileNotFoundError:  # removed by now; but where it was is told by who sees what
            ours, path = os.stat("/proc/thread-self/ns/mnt"), ""
        theirs = os.stat(f"/proc/{pid}/root{path}" if path else f"/proc/{pid}/ns/mnt")
        return os.path.samestat(ours, theirs)
    return False


def argv_of(pid: int) -> tuple[str, ...]:
    """A process's command line; empty if it has ended, or is the kernel's."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            data = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ()
    return tuple(os.fsdecode(data).split("\0")[:-1])


def hold(pid: int, wanted: Wanted) -> Found | None:
    """Hold the process ``pid`` if it is a wanted one. Blocks for milliseconds at most."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        argv = argv_of(pid)
        # Once more: the number may have been another's.
        if wanted(argv) and means_our_files(pid, argv) and not has_ended(pidfd):
            return Found(pid, pidfd, argv)
    except BaseException:
        os.close(pidfd)
        raise
    os.close(pidfd)
    return None


def find(wanted: Wanted) -> Iterator[Found]:
    """The wanted processes, one by one; each must be closed. Blocks for milliseconds at most."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or not wanted(argv_of(int(name))):
            continue
        if found := hold(int(name), wanted):
            yield found


def has_ended(pidfd: int, timeout_s: float = 0.0) -> bool:
    """Whether a process has ended, or does so within ``timeout_s``; blocks for so long."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


def end(found: Found, *, term_s: float = _TERM_S) -> None:
    """End a process: SIGTERM, after ``term_s`` SIGKILL. Blocks.

    :raises HostError: if not even that ends it.
    """
    for number, limit_s in ((signal.SIGTERM, term_s), (signal.SIGKILL, _KILL_S)):
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(found.pidfd, number)
        if has_ended(found.pidfd, limit_s):
            return
    raise HostError(f"{found} does not die of SIGKILL")


def end_all(wanted: Wanted) -> list[str]:
    """End all wanted processes; a line for each, for people. Blocks."""
    ended = []
    for found in find(wanted):
        try:
            end(found)
            ended.append(str(found))
        finally:
            found.close()
    return ended

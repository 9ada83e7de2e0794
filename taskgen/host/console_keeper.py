"""Keeps the consoles of a dead engine's machines short: a small process beside each fleet.

QEMU goes on to append to its log when the engine has died, and nobody else would drop the head of
it. While the engine lives this sleeps: a pipe tells it that the engine is gone, in whatever way. It
ends with the last QEMU of the fleet, and the next engine ends it before it looks at a log itself.
So there is never more than one who drops something.

Started by :mod:`taskgen.host.console_keeping`. It may live for weeks in a host's memory, so it is
run without ``site`` and imports no more than it must.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
from collections.abc import Iterator
from contextlib import suppress

from taskgen.host.command_lines import Found, find, has_ended, is_qemu
from taskgen.host.holes import punch, start_of_kept

#: Seconds after a look in which nobody looks again: QEMU writes each byte by itself.
HOLD_OFF_S = 0.25

#: Seconds between two looks where the kernel cannot tell of output.
_BLIND_S = 5.0

#: One for processes that were found, one for those whose start the first look had missed.
_LOOKS = 2

_libc = ctypes.CDLL(None, use_errno=True)
_MODIFY, _ONE_SHOT = 0x2, 0x80000000  # linux/inotify.h


class Log:
    """The log of a QEMU that runs.

    :ivar kept_from: offset of the first byte of its newest boot that is kept.
    """

    def __init__(self, path: str, kept_from: int, qemu: Found) -> None:
        self.path = path
        self.kept_from = kept_from
        self.qemu = qemu

    def shorten(self, most: int) -> None:
        """Drop what is more than ``most`` bytes of the newest boot.

        :raises OSError: if that cannot be now.
        """
        start = start_of_kept(self.kept_from, os.stat(self.path).st_size, most)
        if start > self.kept_from:
            punch(self.path, self.kept_from, start)
            self.kept_from = start


def main(consoles: str, engine: int) -> None:
    """Sleep while the engine lives, then keep short what its machines say.

    :param consoles: the directory of a fleet's consoles.
    :param engine: a pipe on which it says, a number in a line, how many bytes of a boot are kept at
        most; that it is closed means that the engine is gone.
    """
    if (most := _last_word(engine)) is None:
        return
    logs: list[Log] = []
    for _ in range(_LOOKS):
        logs += _look(consoles, {log.path for log in logs})
    _keep_short(logs, most)


def _last_word(engine: int) -> int | None:
    """Wait until the engine is gone; what it said last."""
    said = b""
    while data := os.read(engine, 4096):
        said = (said + data)[-256:]
    numbers = said.split()
    return int(numbers[-1]) if numbers else None


def _look(consoles: str, known: set[str]) -> Iterator[Log]:
    """The logs of those QEMUs that run."""
    newest = {}
    for name in os.listdir(consoles) if os.path.isdir(consoles) else ():
        # Others have no boots yet, or an index that a power failure cut short.
        with suppress(OSError, ValueError, LookupError, TypeError):
            with open(f"{consoles}/{name}/boots.json", "rb") as index:
                boot = json.load(index)["boots"][-1]
            newest[str(boot["uuid"])] = f"{consoles}/{name}/{boot['file']}", int(boot["kept_from"])
    wanted = {uuid for uuid, (path, _) in newest.items() if path not in known}
    for found in find(lambda argv: is_qemu(argv, wanted)):
        uuid = found.argv[found.argv.index("-uuid") + 1]
        yield Log(*newest[uuid], found)


def _keep_short(logs: list[Log], most: int) -> None:
    """Keep logs short until the last QEMU has ended."""
    inotify = _libc.inotify_init1(os.O_CLOEXEC)
    while logs:
        # First the watch, then the look: nothing that comes in between is missed.
        unseen = [log for log in logs if not _watch(inotify, log.path)]
        for log in logs:
            with suppress(OSError):  # a full disk, say: with the next output it is tried again
                log.shorten(most)
        if _output(inotify, logs, _BLIND_S if unseen else None):
            _wait([log.qemu.pidfd for log in logs], HOLD_OFF_S)
        logs = [log for log in logs if not has_ended(log.qemu.pidfd)]


def _watch(inotify: int, path: str) -> bool:
    mask = ctypes.c_uint32(_MODIFY | _ONE_SHOT)
    return bool(_libc.inotify_add_watch(inotify, os.fsencode(path), mask) >= 0)


def _output(inotify: int, logs: list[Log], timeout_s: float | None) -> bool:
    """Wait for output, or the end of a QEMU; whether it was output."""
    wanted = [log.qemu.pidfd for log in logs]
    if inotify not in _wait([inotify, *wanted] if inotify >= 0 else wanted, timeout_s):
        return False
    os.read(inotify, 65536)
    return True


def _wait(descriptors: list[int], timeout_s: float | None) -> list[int]:
    poll = select.poll()
    for each in descriptors:
        poll.register(each, select.POLLIN)
    return [fd for fd, _ in poll.poll(None if timeout_s is None else timeout_s * 1000)]

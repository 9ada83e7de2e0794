"""The consoles' logs of all machines of one fleet."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from taskgen.host.console_boots import Limits
from taskgen.host.console_log import ConsoleLog
from taskgen.host.holes import can_punch
from taskgen.problems import Problems

log = logging.getLogger(__name__)

#: Key of the problem that logs cannot be kept short here.
PROBLEM = "consoles"


class ConsoleLogs:
    """Where the consoles' logs of a fleet lie. They outlive the machines.

    :param path: their directory; made with the first log.
    :ivar limits: what is kept of each machine; may be set at any time.
    :ivar problems: told if the file system does not let us keep to that.
    """

    def __init__(self, path: Path, limits: Limits | None = None) -> None:
        self.path = path
        self.limits = limits or Limits()
        self.problems = Problems()
        self._logs: dict[str, ConsoleLog] = {}
        self._holes: bool | None = None

    def of(self, name: str) -> ConsoleLog:
        """The log of a machine; there may be nothing in it yet."""
        if name not in self._logs:
            self._logs[name] = ConsoleLog(self.path / name, lambda: self.limits, self._can_punch)
        return self._logs[name]

    def find(self, name: str) -> ConsoleLog | None:
        """The log of a machine that has been launched once; ``None``: there is none."""
        # Not by a path: whoever asks for a name must not get out of the directory by it.
        if name in self._logs or (self.path.is_dir() and name in self._names()):
            found = self.of(name)
            return found if found.boots else None
        return None

    async def tidy(self) -> None:
        """Drop what is more than the limits, of all machines that there ever were."""
        if self.path.is_dir():
            for name in self._names():
                if self.of(name).boots:
                    await self.of(name).tidy()

    def used(self) -> int:
        """Bytes that the logs of all machines take on the disk, with their times. Blocks."""
        if not self.path.is_dir():
            return 0
        found = 0
        for file in self.path.glob("*/*"):
            with suppress(FileNotFoundError):  # it was dropped just now
                found += file.lstat().st_blocks * 512
        return found

    def _names(self) -> list[str]:
        return sorted(each.name for each in self.path.iterdir() if each.is_dir())

    def _can_punch(self) -> bool:
        if self._holes is None:
            try:
                self._holes = can_punch(self.path)
            except OSError as error:  # a full disk, say: it is tried again
                log.debug("%s: %s", self.path, error)
                return False
            if not self._holes:
                self.problems.report(
                    PROBLEM,
                    f"{self.path}: this file system cannot drop the head of a file, so the log of "
                    "a machine's console grows until its QEMU ends",
                    hint="put TASKGEN_STATE on ext4, xfs, btrfs or tmpfs",
                )
        return self._holes

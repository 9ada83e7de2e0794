"""Says when the state directory's file system is nearly full."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from taskgen.host.waiting import in_thread
from taskgen.problems import Problem, Problems

#: Seconds between two looks. The kernel tells nobody that a file system fills up, and one call in
#: so long costs nothing that could be measured.
INTERVAL_S = 30.0

#: A file system is nearly full with less than both of these left.
LOW_PART = 0.05
LOW_BYTES = 10**9

#: Files that can still be made on one that is nearly out of inodes.
LOW_FILES = 1000


def shortage(path: Path) -> str | None:
    """What the file system is short of; ``None``: nothing. Blocks, for long on a dead network
    file system."""
    found = os.statvfs(path)
    free, size = found.f_bfree * found.f_frsize, found.f_blocks * found.f_frsize
    if free < min(LOW_PART * size, LOW_BYTES):
        return f"{free / 1e6:.1f} MB are left of {size / 1e6:.1f} MB"
    if found.f_files and found.f_ffree < min(LOW_FILES, LOW_PART * found.f_files):
        return f"only {found.f_ffree} more files can be made"
    return None


class DiskWatch:
    """Reports ``disk`` as long as the disk is nearly full.

    That it is full is noticed where something cannot be written, and reported there.
    """

    def __init__(self, path: Path, problems: Problems) -> None:
        self._path = path
        self._problems = problems
        self._look_now = asyncio.Event()
        problems.on_change(self._on_problem)

    async def watch(self) -> None:
        """Look again and again until cancelled, at once when something could not be written."""
        while True:
            self._look_now.clear()
            short = await in_thread(None, shortage, self._path)
            if short:
                self._problems.report(
                    "disk",
                    f"{self._path}: the disk is nearly full: {short}",
                    hint="make room, or set results.days or results.megabytes to forget old jobs",
                )
            else:
                self._problems.clear("disk")
            try:
                async with asyncio.timeout(INTERVAL_S):
                    await self._look_now.wait()
            except TimeoutError:
                continue

    def _on_problem(self, key: str, problem: Problem | None) -> None:
        if key == "queue":
            self._look_now.set()

"""What the host gave of its processors: to threads of ours, and to itself."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass

_TICKS = 8  # fields of proc_stat(5) that add up to all time; the rest is contained in them
_STEAL = 7


@dataclass(frozen=True, slots=True)
class HostTicks:
    """What the host's processors did since it was booted, in ticks of the kernel's clock.

    :ivar steal: in which another virtual machine had the processor, if the host is one itself.
    """

    total: int
    steal: int

    @classmethod
    def parse(cls, stat: bytes) -> HostTicks:
        """From the first line of ``/proc/stat``."""
        ticks = [int(word) for word in stat.partition(b"\n")[0].split()[1 : 1 + _TICKS]]
        return cls(sum(ticks), ticks[_STEAL] if len(ticks) > _STEAL else 0)

    @classmethod
    def now(cls) -> HostTicks:
        """Those up to now."""
        file = os.open("/proc/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return cls.parse(os.read(file, 256))
        finally:
            os.close(file)

    def steal_share(self, before: HostTicks) -> float:
        """The part of the time since ``before`` that was stolen, from 0 to 1."""
        total = self.total - before.total
        # Counters of some virtual machines go back a little.
        return min(1.0, max(0.0, (self.steal - before.steal) / total)) if total > 0 else 0.0


def wait_ns(schedstat: bytes) -> int:
    """Out of ``/proc/<pid>/task/<tid>/schedstat``: how long the thread was ready to run and had to
    wait for a processor, in ns."""
    return int(schedstat.split()[1])


class Threads:
    """Some threads of one process: where they run, and how long they waited for a processor.

    Their directories and files are held open: they are of these threads and no others, however
    numbers are used again.

    :raises OSError: if one of them is no thread of this process, or has ended.
    """

    def __init__(self, pid: int, numbers: Collection[int]) -> None:
        self._held: list[int] = []
        self._directories: dict[int, int] = {}
        self._waits: list[int] | None = []
        try:
            for number in numbers:
                directory = os.open(f"/proc/{pid}/task/{number}", os.O_RDONLY | os.O_CLOEXEC)
                self._held.append(directory)
                self._directories[number] = directory
            try:
                for directory in self._directories.values():
                    file = os.open("schedstat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
                    self._held.append(file)
                    self._waits.append(file)
            except FileNotFoundError:  # a kernel that does not count it
                self._waits = None
        except BaseException:
            self.close()
            raise

    def run_on(self, cores: Collection[int]) -> None:
        """Have them run on these cores, and no others.

        :raises OSError: if the kernel does not allow it, or one has ended.
        """
        for number, directory in self._directories.items():
            os.stat("comm", dir_fd=directory)  # it is still the one that had this number
            os.sched_setaffinity(number, cores)

    def waited_ns(self) -> int | None:
        """All together, since they began; ``None``: nobody knows, or one has ended."""
        if self._waits is None:
            return None
        try:
            return sum(wait_ns(os.pread(file, 128, 0)) for file in self._waits)
        except OSError:
            return None

    def close(self) -> None:
        """Give back what is held."""
        held, self._held = self._held, []
        for file in held:
            os.close(file)

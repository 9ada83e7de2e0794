"""CPU time of processes, to the nanosecond, and what they had to wait for it."""

from __future__ import annotations

import time
from pathlib import Path


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a process has used, all its threads together.

    ``/proc`` counts in ticks of 10 ms; the process's CPU clock, which others may read, does not.

    :raises ProcessLookupError: if there is no such process.
    """
    clock = (~pid << 3) | 2  # linux/posix-timers.h: MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED)
    try:
        return time.clock_gettime(clock)
    except OSError as error:
        raise ProcessLookupError(f"no process {pid}") from error


def waited_s(pid: int) -> float:
    """Seconds for which the main thread of a process could have gone on, but had no core."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def host_ticks() -> tuple[int, int]:
    """What the host's cores did since it was booted: ticks in which they worked, and all.

    Those that the host below took from a virtual one count as work: they could not be used.
    """
    first = Path("/proc/stat").read_text().partition("\n")[0]
    ticks = [int(word) for word in first.split()[1:9]]  # what follows is contained in these
    idle, waiting = ticks[3:5]
    return sum(ticks) - idle - waiting, sum(ticks)

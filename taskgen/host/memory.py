"""How much memory there is for machines on this host.

What is free just now is not asked: it changes by the second, and machines that run have taken some
of it themselves. The whole memory does not change, so neither does the number of machines.
"""

from __future__ import annotations

from pathlib import Path

from taskgen.errors import HostError
from taskgen.host.control_groups import CGROUPS, PROC, limit_files

#: What is left to the system and the engine, MiB.
RESERVE_MB = 512


def memory_for_machines_mb(proc: Path = PROC, cgroups: Path = CGROUPS) -> float:
    """What machines may take together, MiB: all but :data:`RESERVE_MB`. Swap does not count, for a
    machine that is swapped out measures nothing.

    :raises HostError: if the host does not say what it has.
    """
    return max(0.0, host_memory_mb(proc, cgroups) - RESERVE_MB)


def host_memory_mb(proc: Path = PROC, cgroups: Path = CGROUPS) -> float:
    """What this process and its children may use, MiB: the host's memory, or less where a control
    group says so.

    :raises HostError: if the host does not say what it has.
    """
    files = limit_files(
        "memory", ("memory.max", "memory.high"), ("memory.limit_in_bytes",), proc, cgroups
    )
    limits = [_limit_mb(file) for file in files]
    return min([_total_mb(proc / "meminfo"), *(limit for limit in limits if limit is not None)])


def _total_mb(meminfo: Path) -> float:
    for line in meminfo.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) / 1024
    raise HostError(f"{meminfo} has no MemTotal")


def _limit_mb(file: Path) -> float | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) / 2**20 if text.isdigit() else None

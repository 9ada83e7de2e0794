"""How much memory there is for machines on this host.

What is free just now is not asked: it changes by the second, and machines that run have taken some
of it themselves. The whole memory does not change, so neither does the number of machines.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from taskgen.errors import HostError

#: What is left to the system and the engine, MiB.
RESERVE_MB = 512

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def memory_for_machines_mb(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> float:
    """What machines may take together, MiB: all but :data:`RESERVE_MB`. Swap does not count, for a
    machine that is swapped out measures nothing.

    :raises HostError: if the host does not say what it has.
    """
    return max(0.0, host_memory_mb(proc, cgroups) - RESERVE_MB)


def host_memory_mb(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> float:
    """What this process and its children may use, MiB: the host's memory, or less where a control
    group says so.

    :raises HostError: if the host does not say what it has.
    """
    limits = [_limit_mb(file) for file in _limit_files(proc, cgroups)]
    return min([_total_mb(proc / "meminfo"), *(limit for limit in limits if limit is not None)])


def _total_mb(meminfo: Path) -> float:
    for line in meminfo.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) / 1024
    raise HostError(f"{meminfo} has no MemTotal")


def _limit_files(proc: Path, cgroups: Path) -> Iterator[Path]:
    """Where limits of this process' control group and of those around it would be."""
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        files: tuple[str, ...]
        if not controllers:  # version 2
            root, files = cgroups, ("memory.max", "memory.high")
        elif "memory" in controllers.split(","):  # version 1
            root, files = cgroups / "memory", ("memory.limit_in_bytes",)
        else:
            continue
        own = root / name.lstrip("/")
        # In a container the name may be the host's: then only the root is there.
        for group in [own, *own.parents]:
            if group.is_relative_to(root):
                yield from (group / file for file in files)


def _limit_mb(file: Path) -> float | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) / 2**20 if text.isdigit() else None

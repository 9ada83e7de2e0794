"""Which cores of this host machines may use, and how much of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from taskgen.cpu_list import format_cpus, parse_cpus
from taskgen.errors import ConfigError
from taskgen.host.control_groups import CGROUPS, PROC, limit_files
from taskgen.placement import Cores, Cpu

_CPUS = Path("/sys/devices/system/cpu")


def allowed_cores() -> Cores:
    """Those that the scheduler gives us and our children, unless somebody pins them elsewhere."""
    return frozenset(os.sched_getaffinity(os.getpid()))


def cpu_quota(proc: Path = PROC, cgroups: Path = CGROUPS) -> float | None:
    """How many cores' time our control group, or one around it, allows; ``None``: no limit."""
    files = limit_files("cpu", ("cpu.max",), ("cpu.cfs_quota_us",), proc, cgroups)
    quotas = [quota for file in files if (quota := _quota(file)) is not None]
    return min(quotas, default=None)


def usable_cores() -> float:
    """How many cores' time machines may use together, above 0."""
    quota = cpu_quota()
    cores = float(len(allowed_cores()))
    return cores if quota is None else min(cores, quota)


def whole_cores() -> int:
    """So many machines with one vCPU run without waiting for each other; at least 1."""
    return max(1, int(usable_cores()))


def topology(cores: Iterable[int], cpus: Path = _CPUS) -> list[Cpu]:
    """Where each of these is; one by itself where the kernel does not tell."""
    return [_cpu(number, cpus / f"cpu{number}") for number in sorted(cores)]


def check_cores(sets: Iterable[Cores], *, what: str) -> None:
    """See whether threads can be pinned to all of these cores. Blocks for some microseconds.

    The kernel is asked: those that it keeps free of other work (``isolcpus``) are not among the
    :func:`allowed_cores`, and are what pinning is for.

    :param what: the setting.
    :raises ConfigError: naming those to which that cannot be.
    """
    wanted = frozenset().union(*sets)
    if missing := wanted - settable(wanted):
        raise ConfigError(
            f"{what}: this host has no core {format_cpus(missing)} that may be used",
            hint=f"it has {format_cpus(allowed_cores())}",
        )


def settable(cores: Iterable[int]) -> Cores:
    """Those of them that the kernel lets a thread of ours run on."""
    found: set[int] = set()

    def attempt() -> None:
        for core in cores:
            try:
                os.sched_setaffinity(0, {core})
            except (OSError, ValueError, OverflowError):
                continue
            found.add(core)

    thread = threading.Thread(target=attempt, name="cores")  # it ends, and with it its affinity
    thread.start()
    thread.join()
    return frozenset(found)


def _quota(file: Path) -> float | None:
    try:
        words = file.read_text(encoding="ascii").split()
        if file.name != "cpu.max":
            words += file.with_name("cpu.cfs_period_us").read_text(encoding="ascii").split()
        quota, period = int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):  # none, or "max"
        return None
    return quota / period if quota > 0 and period > 0 else None


def _cpu(number: int, directory: Path) -> Cpu:
    siblings = _list(directory / "topology" / "thread_siblings_list")
    package = _number(directory / "topology" / "physical_package_id")
    nodes = [each.name[4:] for each in directory.glob("node[0-9]*")]
    return Cpu(
        number=number,
        core=min(siblings, default=number),
        node=int(nodes[0]) if nodes else package,
    )


def _list(file: Path) -> Cores:
    try:
        return parse_cpus(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return frozenset()


def _number(file: Path) -> int:
    try:
        return int(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0

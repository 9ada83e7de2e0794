"""Says when the host's memory is too small for as many machines as are wished."""

from __future__ import annotations

from pathlib import Path

from taskgen.problems import Problems

#: What a QEMU needs beside its guest's memory, MiB; measured with the reference guest.
OVERHEAD_MB = 64

_PROC, _CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def host_memory_mb(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> float:
    """What this process and its children may use, MiB: the host's memory, or less where a control
    group says so."""
    for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            memory_mb = int(value.split()[0]) / 1024
            break
    else:
        raise OSError("/proc/meminfo has no MemTotal")
    group = cgroups / _own_group(proc)
    while group != cgroups.parent:
        memory_mb = min(memory_mb, _limit_mb(group / "memory.max", memory_mb))
        group = group.parent
    return memory_mb


def check_memory(problems: Problems, machines: int, memory_mb: int, available_mb: float) -> None:
    """Report ``memory``, or that there is enough.

    :param machines: how many are wished, as far as the network holds them.
    :param memory_mb: of each guest.
    """
    needed_mb = machines * (memory_mb + OVERHEAD_MB)
    if needed_mb <= available_mb:
        problems.clear("memory")
        return
    problems.report(
        "memory",
        f"{machines} machines may need {needed_mb / 1024:.1f} GiB, the host has"
        f" {available_mb / 1024:.1f} GiB",
        hint=f"{int(available_mb // (memory_mb + OVERHEAD_MB))} fit: taskgen fleet set-max",
    )


def _own_group(proc: Path) -> str:
    """The control group of this process, relative to the root of all; version 2 only."""
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line[3:].lstrip("/") for line in lines if line.startswith("0::")), "")


def _limit_mb(file: Path, otherwise: float) -> float:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return otherwise
    return int(text) / 2**20 if text.isdigit() else otherwise

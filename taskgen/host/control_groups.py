"""Where the limits of this process' control groups are written."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def limit_files(
    controller: str, new: Collection[str], old: Collection[str], proc: Path, cgroups: Path
) -> Iterator[Path]:
    """Where limits of this process' control group and of those around it would be.

    :param controller: as ``memory``.
    :param new: names of the files in version 2.
    :param old: in version 1.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:  # version 2
            root, files = cgroups, new
        elif controller in controllers.split(","):  # version 1
            root, files = cgroups / controller, old
        else:
            continue
        own = root / name.lstrip("/")
        # In a container the name may be the host's: then only the root is there.
        for group in [own, *own.parents]:
            if group.is_relative_to(root):
                yield from (group / file for file in files)

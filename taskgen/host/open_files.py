"""The files that a process has open, as ``/proc`` tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from taskgen.host.process import Process


def has_open(process: Process, path: Path) -> bool:
    """Whether the process has the file open that is at ``path`` now."""
    with suppress(OSError):
        wanted = path.stat()
        return any(os.path.samestat(found, wanted) for _, found in _open_files(process))
    return False


def salvage(process: Process, path: Path) -> str:
    """What is in the file that the process has open, and that was deleted from ``path``.

    In the process's own mount namespace the directory may be another one.
    """
    for link, _ in _open_files(process):
        with suppress(OSError):
            if os.readlink(link).endswith(f"/{path.name} (deleted)"):
                return link.read_text(encoding="ascii", errors="replace")
    return ""


def _open_files(process: Process) -> Iterator[tuple[Path, os.stat_result]]:
    with suppress(OSError):
        for link in Path(f"/proc/{process.pid}/fd").iterdir():
            with suppress(OSError):
                yield link, link.stat()

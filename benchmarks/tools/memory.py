"""Memory of processes."""

from __future__ import annotations

import re
from pathlib import Path


def pss_mb(pid: int) -> float:
    """Memory of a process in MB (10**6 bytes); of pages that it shares, its part.

    :raises OSError: if there is no such process, or it is another user's.
    """
    return _mb(pid, "Pss")


def own_mb(pid: int) -> float:
    """Memory that a process has written and shares with nobody, in MB (10**6 bytes).

    What others do, which come and go and use the same libraries, does not change it.

    :raises OSError: as :func:`pss_mb`.
    """
    return _mb(pid, "Private_Dirty")


def _mb(pid: int, what: str) -> float:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(rf"^{what}:\s+(\d+) kB$", text, re.M)
    assert found, "every kernel that has the file has this line"
    return int(found[1]) * 1024 / 1e6

"""Memory of processes."""

from __future__ import annotations

import re
from pathlib import Path


def pss_mb(pid: int) -> float:
    """Memory of a process in MB (10**6 bytes); of pages that it shares, its part.

    :raises OSError: if there is no such process, or it is another user's.
    """
    found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
    assert found, "every kernel that has the file has this line"
    return int(found[1]) * 1024 / 1e6

"""The host that figures were measured on: seconds mean little without it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


def host_facts() -> dict[str, Any]:
    """What should be known of it, as plain data; what it does not tell is left out."""
    facts: dict[str, Any] = {
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 1),
    }
    with suppress(OSError):
        if found := re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M):
            facts["cpu"] = found[1]
    with suppress(OSError):
        said = subprocess.run(
            ["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False
        ).stdout
        if found := re.search(r"version (\S+)", said):
            facts["qemu"] = found[1]
    return facts

"""Calls programs in namespaces that a process of ``unshare --fork`` has made."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Seconds for one call; installing packages may take long.
PATIENCE_S = 1200


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str


def entering(unshare: int, *more: str) -> list[str]:
    """The command that starts others in its mount and PID namespace, and in ``more`` of its own."""
    namespaces = f"/proc/{unshare}/ns"
    return [
        *("nsenter", f"--mount={namespaces}/mnt", f"--pid={namespaces}/pid_for_children"),
        *(f"--{kind}={namespaces}/{kind}" for kind in more),
        "--",
    ]


def ran(command: Sequence[str], environment: Mapping[str, str]) -> Said:
    """Run it to its end."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)

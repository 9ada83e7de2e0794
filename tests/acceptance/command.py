"""Runs the installed command as a user does, and reads what it says line by line."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TASKGEN = Path(sys.executable).parent / "taskgen"

#: Seconds after which a command counts as hung; other work may have the cores.
PATIENCE_S = 240


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "COLUMNS": "120", "TASKGEN_QEMU__ACCELERATOR": "tcg", **extra}


def taskgen(*words: str, cwd: Path | None = None, **extra: str) -> Result:
    """Run it to its end."""
    done = subprocess.run(
        [TASKGEN, *words],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        cwd=cwd,
        env=environment(**extra),
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


class Running:
    """A command while it runs. Its standard output is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def wait_for(self, text: str) -> str:
        """The next line with ``text`` in it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError(f"ended without saying {text!r}: {''.join(self.lines)}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> Result:
        """Wait for its end."""
        out, err = self.process.communicate()
        return Result(self.process.returncode, "".join(self.lines) + out, err)


@contextmanager
def started(*words: str, cwd: Path | None = None, **extra: str) -> Iterator[Running]:
    """Start it; killed at the end, and after :data:`PATIENCE_S`, if it is still there."""
    with subprocess.Popen(
        [TASKGEN, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(**extra),
        start_new_session=True,
    ) as process:
        patience = threading.Timer(PATIENCE_S, process.kill)
        patience.start()
        try:
            yield Running(process)
        finally:
            patience.cancel()
            process.kill()


@contextmanager
def on_terminal(*words: str) -> Iterator[Callable[[], tuple[int, str]]]:
    """Start it on a terminal; the result waits for its end: exit status, and what was shown."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
    variables = {**environment(), "TERM": "xterm"}
    del variables["COLUMNS"]
    with subprocess.Popen(
        [TASKGEN, *words], stdin=its, stdout=its, stderr=its, env=variables, start_new_session=True
    ) as process:
        os.close(its)
        patience = threading.Timer(PATIENCE_S, process.kill)
        patience.start()

        def read_all() -> tuple[int, str]:
            shown = b""
            try:
                while piece := os.read(mine, 65536):
                    shown += piece
            except OSError:  # EIO: the other side is closed
                pass
            return process.wait(), re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())

        try:
            yield read_all
        finally:
            patience.cancel()
            process.kill()
            os.close(mine)

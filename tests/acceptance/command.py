"""Runs the installed command as a user does, and reads what it says line by line."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Sequence
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


#: Starts the command once for each list of words, and loads it only once for all of them.
_FORKING = """
import json, os, sys, tempfile
from taskgen.cli.main import cli, main

def load(group):
    for lazy in getattr(group, "lazy", {}).values():
        load(lazy.load())

load(cli)
for words in json.loads(sys.stdin.read()):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            sys.argv = ["taskgen", *words]
            main()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        said = [(f.seek(0), f.read().decode())[1] for f in (out, err)]
    print(json.dumps([status, *said]), flush=True)
"""


def many(calls: Sequence[Sequence[str]], cwd: Path) -> list[Result]:
    """What the command says to each of many calls, without the time to load it each time."""
    done = subprocess.run(
        [sys.executable, "-c", _FORKING],
        input=json.dumps(list(calls)),
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
        timeout=PATIENCE_S,
        env=environment(),
    )
    return [Result(*json.loads(line)) for line in done.stdout.splitlines()]


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
        assert self.process.stdout is not None
        rest = self.process.stdout.read()  # communicate() would leave out what is buffered
        _, err = self.process.communicate()
        return Result(self.process.returncode, "".join(self.lines) + rest, err)


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

"""A command on a terminal of its own, with somebody who reads and types."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

#: Seconds after which a command counts as hung; other work may have the cores.
PATIENCE_S = 240


class Terminal:
    """A command on a terminal of its own, with somebody who types."""

    def __init__(self, process: subprocess.Popen[bytes], mine: int, its: int) -> None:
        self.process = process
        self.shown = ""
        self._mine, self._its = mine, its
        self._end = os.pidfd_open(process.pid)

    def wait_for(self, text: str) -> None:
        """Read until ``text`` is shown.

        :raises AssertionError: if the command ends without having shown it.
        """
        self.wait_for_match(re.escape(text))

    def wait_for_match(self, pattern: str) -> None:
        """As :meth:`wait_for`, for a regular expression."""
        while not re.search(pattern, self.shown):
            ready, _, _ = select.select([self._mine, self._end], [], [])
            assert self._mine in ready, f"ended without saying {pattern!r}: {self.shown}"
            piece = os.read(self._mine, 65536)
            self.shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", piece.decode(errors="replace"))

    def type(self, keys: bytes) -> None:
        os.write(self._mine, keys)

    @property
    def modes(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._its)

    @classmethod
    @contextmanager
    def of(
        cls, command: Sequence[str | Path], variables: Mapping[str, str] = os.environ
    ) -> Iterator[Self]:
        """Start it; killed at the end, and after :data:`PATIENCE_S`, if it is still there."""
        mine, its = pty.openpty()
        with subprocess.Popen(
            command,
            stdin=its,
            stdout=its,
            stderr=its,
            env={**variables, "TERM": "xterm", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        ) as process:
            patience = threading.Timer(PATIENCE_S, process.kill)
            patience.start()
            terminal = cls(process, mine, its)
            try:
                yield terminal
            finally:
                patience.cancel()
                process.kill()
                os.close(terminal._end)
                os.close(its)
                os.close(mine)

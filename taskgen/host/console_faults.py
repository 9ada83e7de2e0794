"""Looks through what a guest prints for the faults that its profile knows.

A faulted component may freeze while its system stays up, and QEMU reports nothing: then the console
is all that tells.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import BinaryIO

from taskgen.diagnosis import ConsoleFault
from taskgen.host.console import Console, clean
from taskgen.host.foreign_files import open_to_read
from taskgen.host.inotify import Change, Inotify
from taskgen.profiles import FaultPattern

#: Faults that are remembered: the first ones, from which the others follow, as a rule.
REMEMBERED = 20

#: Bytes that are looked through at once; of more that came at once only so many.
WINDOW = 64 * 1024

#: A line is looked at up to this length.
LINE = 2048


class ConsoleFaults:
    """The faults of which one guest's console told, until :meth:`close`.

    :param patterns: of the profile.
    :param on_fatal: called with the first one that ends the guest as a whole; must not block.
    """

    def __init__(
        self,
        console: Console,
        inotify: Inotify,
        patterns: Sequence[FaultPattern],
        on_fatal: Callable[[ConsoleFault], object],
    ) -> None:
        self._patterns = [(re.compile(each.pattern), each) for each in patterns]
        self._on_fatal = on_fatal
        self._seen: deque[ConsoleFault] = deque()
        self._rest = b""
        self._stack = ExitStack()
        self._file: BinaryIO | None = None
        if self._patterns:
            self._file = self._stack.enter_context(open_to_read(console.path))
            self._stack.enter_context(inotify.watch(console.path, Change.MODIFY, self.look))

    @property
    def seen(self) -> tuple[ConsoleFault, ...]:
        """Those since the last :meth:`forget`, oldest first."""
        return tuple(self._seen)

    def forget(self) -> None:
        """What was told so far belongs to another run, or to another boot."""
        self._seen.clear()

    def skip(self) -> None:
        """Pass over what has been printed and was not looked at."""
        if self._file is not None:
            self._file.seek(0, 2)
            self._rest = b""

    def look(self) -> None:
        """Look through what was printed since the last time."""
        if self._file is None:
            return
        while data := self._file.read(WINDOW):
            *lines, rest = (self._rest + data).split(b"\n")
            self._rest = rest[-LINE:]
            for line in lines:
                self._look_at(clean(line[:LINE]).strip())

    def close(self) -> None:
        """Look no more."""
        self._file = None
        self._stack.close()

    def _look_at(self, line: str) -> None:
        for pattern, known in self._patterns:
            if line and pattern.search(line):
                fault = ConsoleFault(line, known.meaning, known.fatal)
                if len(self._seen) < REMEMBERED:
                    self._seen.append(fault)
                if known.fatal:
                    self._on_fatal(fault)
                return

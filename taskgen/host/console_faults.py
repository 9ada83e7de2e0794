"""Looks through what a guest prints for the faults that its profile knows.

A faulted component may freeze while its system stays up, and QEMU reports nothing: then the console
is all that tells.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from taskgen.diagnosis import ConsoleFault
from taskgen.host.console import Console, Output, clean
from taskgen.profiles import FaultPattern

log = logging.getLogger(__name__)

#: Faults that are remembered: the first ones, from which the others follow, as a rule.
REMEMBERED = 20

#: Bytes that are looked through at once; of more that came at once only the last ones.
WINDOW = 64 * 1024

#: A line is looked at up to this length.
LINE = 2048


class ConsoleFaults:
    """The faults of which one guest's console tells, until :meth:`close`.

    :param patterns: of the profile.
    :param on_fatal: called with one that ends the guest as a whole; must not block.
    :param past: look through what was printed up to now, too.
    :raises HostError: if the console's log cannot be watched.
    """

    def __init__(
        self,
        console: Console,
        patterns: Sequence[FaultPattern],
        on_fatal: Callable[[ConsoleFault], object],
        *,
        past: bool = True,
    ) -> None:
        self._console = console
        self._patterns = patterns
        self._on_fatal = on_fatal
        self._seen: list[ConsoleFault] = []
        self._rest = b""
        self._end = console.first if past else console.size
        self._stop: Callable[[], None] = lambda: None
        if self._patterns:
            self._stop = console.on_output(self._on_output)
            self._look_to(console.size)

    @property
    def seen(self) -> tuple[ConsoleFault, ...]:
        """Those since the last :meth:`forget`, oldest first."""
        self._console.look()
        return tuple(self._seen)

    def forget(self) -> None:
        """What was told so far belongs to another run, or to another boot."""
        self._console.look()
        self._seen.clear()

    def close(self) -> None:
        """Look no more."""
        self._stop()

    def _on_output(self, output: Output) -> None:
        self._look_to(output.end)

    def _look_to(self, end: int) -> None:
        start, self._end = max(self._end, end - WINDOW), max(self._end, end)
        try:
            data = self._console.read(start, end)
        except OSError as error:
            log.debug("%s: not looked at: %s", self._console.path, error)
            return
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-LINE:]
        for line in lines:
            self._look_at(clean(line[:LINE]).strip())

    def _look_at(self, line: str) -> None:
        for known in self._patterns:
            if line and known.regex.search(line):
                fault = ConsoleFault(line, known.meaning, known.fatal)
                if len(self._seen) < REMEMBERED:
                    self._seen.append(fault)
                if known.fatal:
                    self._on_fatal(fault)
                return

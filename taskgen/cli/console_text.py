"""What a console said, for people."""

from __future__ import annotations

import sys
from datetime import datetime

from taskgen.cli.note import note
from taskgen.cli.units import moment, size
from taskgen.printable import printable
from taskgen.resources import ConsoleLine

#: Seconds; where the two times of a line are further apart, nobody saw when it was printed.
EXACT_S = 0.1


def told_at(line: ConsoleLine) -> str:
    """When a line was begun: date and time here; ``<`` before it: or earlier."""
    text = datetime.fromtimestamp(line.at).isoformat(" ", "milliseconds")
    return text if is_exact(line) else f"<{text}"


def is_exact(line: ConsoleLine) -> bool:
    """Whether it is known when a line was begun."""
    return line.not_before is not None and line.at - line.not_before <= EXACT_S


class ConsolePrinter:
    """Prints lines as they come: what was said on standard output, what is to be said of it on
    standard error.

    :param timestamps: the time before each line.
    """

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._boot: int | None = None
        self._begins = True

    def show(self, line: ConsoleLine) -> None:
        """Print a line, or a piece of one."""
        if self._boot is not None and line.boot != self._boot:
            self.remark(f"boot {line.boot} began, {moment(line.at)}")
        if line.dropped:
            self.remark(f"{size(line.dropped)} before this are not kept any more")
        text = f"{told_at(line):24} " if self._timestamps and self._begins else ""
        # A guest must not be able to play with the terminal of whoever reads its log.
        text += printable(line.text) if sys.stdout.isatty() else line.text
        sys.stdout.write(text + "\n" * line.whole)
        sys.stdout.flush()
        self._boot, self._begins = line.boot, line.whole

    def remark(self, text: str) -> None:
        """Say something of the lines, between two of them."""
        self.end()
        note(text)

    def end(self) -> None:
        """End the line that was begun."""
        if not self._begins:
            sys.stdout.write("\n")
            sys.stdout.flush()
        self._begins = True

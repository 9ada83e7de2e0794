"""The lines of a console's log, with the times at which they were written."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import BinaryIO

from taskgen.host.console import clean
from taskgen.host.console_boots import Boot
from taskgen.host.console_log import ConsoleLog
from taskgen.host.console_times import Span, TimesReader
from taskgen.host.foreign_files import open_to_read

#: Bytes of a line; what is longer is given in pieces.
LONGEST = 16 * 1024

_CHUNK = 8 * LONGEST


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or a piece of one. Times are of this host's clock, ns since the epoch.

    :ivar boot: number of the boot that it is of.
    :ivar offset: of its first byte in the boot's log.
    :ivar data: what was printed, without the end of the line.
    :ivar whole: whether the line ends here.
    :ivar dropped: bytes of the boot just before it that are not kept any more.
    :ivar earliest_ns: it was not begun before this; ``None``: nobody knows.
    :ivar latest_ns: it was begun by this time.
    :ivar end: offset at which the next line, or the next piece of it, goes on.
    """

    boot: int
    offset: int
    data: bytes
    whole: bool = True
    dropped: int = 0
    earliest_ns: int | None = None
    latest_ns: int = 0
    end: int = 0

    @property
    def text(self) -> str:
        """It as plain text."""
        return clean(self.data)


class BootReader:
    """Reads one boot from a position on, as often as there is more; to be closed. Blocks.

    :param position: where to begin, at the beginning of a line; ``None``: at the boot's first byte.
    :param until: offset at which to end; ``None``: go on with what comes.
    :raises OSError: if the log cannot be opened.
    """

    def __init__(
        self,
        log: ConsoleLog,
        boot: Boot,
        position: int | None = None,
        until: int | None = None,
    ) -> None:
        self._log = log
        self._boot = boot
        self._until = sys.maxsize if until is None else until
        self._file = open_to_read(log.file(boot))
        self._times = TimesReader(log.times(boot))
        self._position = boot.first if position is None else position
        self._dropped = 0

    def read(self, *, pieces: bool = False) -> list[Line]:
        """The next lines, some at once; none if there are no more for now.

        :param pieces: also the beginning of a line that is not through. The end of a boot that is
            over is given in any case.
        :raises OSError: if the log cannot be read.
        """
        while True:
            over = not self._log.is_open(self._boot)  # before its end is looked at
            start, end = self._begin(), min(self._log.end(self._boot), self._until)
            data = os.pread(self._file.fileno(), max(0, min(_CHUNK, end - start)), start)
            if self._begin() != start:
                continue  # it was dropped while we read
            at_end = start + len(data) == end
            lines = list(self._lines(start, data, rest=at_end and (pieces or over)))
            return self._timed(lines)

    def close(self) -> None:
        self._file.close()
        self._times.close()

    def _begin(self) -> int:
        """Where to read; what is not kept any more is counted, and gone over."""
        boot = self._log.boot(self._boot.number)
        kept_from = boot.kept_from if boot else self._log.end(self._boot)
        if self._position < kept_from:
            self._dropped += kept_from - self._position
            self._position = kept_from
        return self._position

    def _lines(self, offset: int, data: bytes, *, rest: bool) -> Iterator[Line]:
        if self._dropped and (head := data.find(b"\n", 0, LONGEST)) >= 0:
            self._dropped += head + 1  # the end of a line whose beginning is gone
            offset, data = offset + head + 1, data[head + 1 :]
            self._position = offset
        at = 0
        while at < len(data):
            end = data.find(b"\n", at, at + LONGEST)
            whole = end >= 0
            if not whole:
                if len(data) - at < LONGEST and not rest:
                    return
                end = min(at + LONGEST, len(data))
            after = end + 1 if whole else end
            line = Line(self._boot.number, offset + at, data[at:end].rstrip(b"\r"), whole)
            yield replace(line, dropped=self._dropped, end=offset + after)
            at, self._dropped = after, 0
            self._position = offset + at

    def _timed(self, lines: list[Line]) -> list[Line]:
        if not lines:
            return []
        # What is not noted, or not yet, came after what is, and before the log's last change.
        rest = Span(sys.maxsize, self._times.latest_ns, os.fstat(self._file.fileno()).st_mtime_ns)
        spans = chain(self._times.spans(lines[0].offset), [rest])
        span = next(spans)
        found = []
        for line in lines:
            while span.end <= line.offset:
                span = next(spans)
            earliest_ns = span.earliest_ns or None
            found.append(replace(line, earliest_ns=earliest_ns, latest_ns=span.latest_ns))
        return found


def start_of_last(log: ConsoleLog, boot: Boot, lines: int, start: int, end: int) -> tuple[int, int]:
    """Where the last so many lines of a boot begin, and how many those are. Blocks.

    :param start: look no further back than to this offset, where a line begins.
    :param end: the offset before which they are the last.
    :raises OSError: if the log cannot be read.
    """
    first = max(start, boot.kept_from)
    at = end
    if lines == 0:
        return end, 0
    count = 0
    with open_to_read(log.file(boot)) as file:
        while at > first:
            below = max(first, at - _CHUNK)
            data = os.pread(file.fileno(), at - below, below)
            if at == end:
                count -= data.endswith(b"\n")  # which ends the last line, and begins none
            found = len(data)
            while (found := data.rfind(b"\n", 0, found)) >= 0:
                count += 1
                if count == lines:
                    return below + found + 1, count
            at = below
    # The first line has no end before it. What was dropped before it will be told.
    return start, count + 1 if end > first else 0


def start_since(log: ConsoleLog, boot: Boot, time_ns: int) -> int | None:
    """Where the line begins in which a boot went on at this time; ``None``: it did not. Blocks.

    :raises OSError: if the log cannot be read.
    """
    times = TimesReader(log.times(boot))
    try:
        offset = times.since(time_ns)
        if offset is None:  # nothing noted is as young; what is not noted may be
            offset = times.end
    finally:
        times.close()
    if offset >= log.end(boot):
        return None
    offset = max(offset, boot.kept_from)
    with open_to_read(log.file(boot)) as file:
        return _line_of(file, offset, boot.kept_from)


def _line_of(file: BinaryIO, offset: int, first: int) -> int:
    start = max(first, offset - LONGEST)
    before = os.pread(file.fileno(), offset - start, start)
    return start + before.rfind(b"\n") + 1

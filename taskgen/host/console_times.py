"""Which byte of a console's log was written when: a file of records of one size.

Record by record it says up to which byte the log had grown, and between which two instants. What is
between two records' ends is all written between the later one's instants. A daemon that was dead
leaves a record with the two far apart.
"""

from __future__ import annotations

import logging
import os
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from taskgen.host.console import Output
from taskgen.host.holes import BLOCK, punch

log = logging.getLogger(__name__)

_RECORD = struct.Struct("<QQQ")  # end, earliest and latest, ns since the epoch

#: Records that are kept at least; a guest that prints without end makes 25 a second.
KEPT = 2**16

_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Span:
    """When the bytes up to ``end`` were written; ``earliest_ns`` 0: nobody knows any more."""

    end: int
    earliest_ns: int
    latest_ns: int


class TimesWriter:
    """Notes times for one log; to be closed.

    :ivar end: offset up to which they are noted.
    :ivar latest_ns: when the last noted byte was written, at the latest; 0: none is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = self.latest_ns = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._count = os.fstat(self._file).st_size // _RECORD.size
        self._gone = 0  # records that were given back; of an earlier daemon's it is found out
        self._failed = False
        if self._count:
            last = os.pread(self._file, _RECORD.size, (self._count - 1) * _RECORD.size)
            self.end, _, self.latest_ns = _RECORD.unpack(last)

    def note(self, output: Output) -> None:
        """Note when some output was written. Bytes that were missed came before it."""
        if output.start > self.end:
            self._add(Span(output.start, self.latest_ns, output.earliest_ns))
        if output.end > self.end:
            self._add(Span(output.end, output.earliest_ns, output.latest_ns))

    @property
    def excess(self) -> bool:
        """Whether there are more records than need be."""
        return self._count - self._gone > 2 * KEPT

    def trim(self) -> None:
        """Give the oldest records back. Blocks.

        :raises OSError: if that cannot be.
        """
        self._gone = max(0, self._count - KEPT)
        punch(self.path, 0, self._gone * _RECORD.size // BLOCK * BLOCK)

    def close(self) -> None:
        os.close(self._file)

    def _add(self, span: Span) -> None:
        record = _RECORD.pack(span.end, span.earliest_ns, span.latest_ns)
        try:
            whole = os.pwrite(self._file, record, self._count * _RECORD.size) == len(record)
        except OSError as error:
            whole = False
            if not self._failed:  # a full disk, say; that is told elsewhere
                log.warning("%s: times are missing: %s", self.path, error.strerror)
        self._failed = not whole
        if whole:
            self._count += 1
            self.end, self.latest_ns = span.end, span.latest_ns


class TimesReader:
    """Looks up times of one log; to be closed. If there are none, it knows of none."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            self._file = -1

    def spans(self, offset: int) -> Iterator[Span]:
        """Spans from the one that holds the byte at ``offset`` on."""
        number = self._bisect(lambda span: span.end > offset)
        known = number == 0 or self._at(number - 1).end > 0
        while records := self._read(number, _AT_ONCE):
            for span in records:
                yield span if known else Span(span.end, 0, span.latest_ns)
                known = True
            number += len(records)

    def since(self, time_ns: int) -> int | None:
        """Offset of the first byte that may have been written at this time or later; ``None``: none
        that is noted."""
        number = self._bisect(lambda span: span.latest_ns >= time_ns)
        if number == self._count:
            return None
        return self._at(number - 1).end if number else 0

    @property
    def end(self) -> int:
        """Offset up to which times are known."""
        return self._at(self._count - 1).end if self._count else 0

    @property
    def latest_ns(self) -> int:
        """When the last byte was written whose time is known; 0: there is none."""
        return self._at(self._count - 1).latest_ns if self._count else 0

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)

    @property
    def _count(self) -> int:
        return os.fstat(self._file).st_size // _RECORD.size if self._file >= 0 else 0

    def _bisect(self, holds: Callable[[Span], bool]) -> int:
        """Number of the first record for which something holds that holds for all later ones; the
        number of records if there is none."""
        return bisect_left(range(self._count), True, key=lambda number: holds(self._at(number)))

    def _at(self, number: int) -> Span:
        return self._read(number, 1)[0]

    def _read(self, number: int, count: int) -> list[Span]:
        if self._file < 0:
            return []
        data = os.pread(self._file, count * _RECORD.size, number * _RECORD.size)
        whole = len(data) // _RECORD.size * _RECORD.size
        return [Span(*record) for record in _RECORD.iter_unpack(data[:whole])]

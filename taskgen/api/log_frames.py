"""Lines of a console as an answer tells them: as text, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from taskgen.api import convert
from taskgen.host.console_lines import Line
from taskgen.resources import ConsoleLine

#: Times further apart than this are not those of the moment at which something was printed.
EXACT_NS = 100_000_000


class Frames(Protocol):
    """Makes an answer of lines, as they come."""

    @property
    def media_type(self) -> str:
        """Of the answer."""

    def of(self, lines: Sequence[Line]) -> bytes:
        """What is sent; without lines, what tells that we are still there."""


class JsonLines:
    """A :class:`~taskgen.resources.ConsoleLine` in each line.

    All in ASCII: some characters count as ends of lines to some readers.
    """

    media_type = "application/x-ndjson"

    def of(self, lines: Sequence[Line]) -> bytes:
        told: list[ConsoleLine] = [convert.console_line(line) for line in lines]
        return "".join([json.dumps(each.model_dump()) + "\n" for each in told]).encode() or b"\n"


class TextLines:
    """Lines as they were printed.

    :param timestamps: with the time before each.
    """

    media_type = "text/plain"

    def __init__(self, *, timestamps: bool) -> None:
        self._timestamps = timestamps
        self._begins = True
        self._boot: int | None = None

    def of(self, lines: Sequence[Line]) -> bytes:
        return "".join(map(self._text, lines)).encode()

    def _text(self, line: Line) -> str:
        text = ""
        if self._boot not in (None, line.boot):
            text += self._remark(f"boot {line.boot}")
        if line.dropped:
            text += self._remark(f"{line.dropped} bytes are not kept")
        if self._timestamps and self._begins:
            text += f"{_moment(line)} "
        self._boot, self._begins = line.boot, line.whole
        return text + line.text + ("\n" if line.whole else "")

    def _remark(self, words: str) -> str:
        before, self._begins = "" if self._begins else "\n", True
        return f"{before}[{words}]\n"


def _moment(line: Line) -> str:
    told = datetime.fromtimestamp(line.latest_ns / 1e9, UTC)
    text = told.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    exact = line.earliest_ns is not None and line.latest_ns - line.earliest_ns <= EXACT_NS
    return text if exact else f"<{text}"

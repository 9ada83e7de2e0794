"""Results out of a queue's database, in the words of the handlers, chunk by chunk.

All that is written is what :class:`CsvHandler`, :class:`JsonlHandler` and :class:`ParquetHandler`
would have written of the same runs. Millions of runs take the memory of some hundred.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Any

from taskgen.errors import QueueError
from taskgen.events.jsonl import line_of
from taskgen.interfaces import Run
from taskgen.queue import JobQueue
from taskgen.queue.reader import Reader, Reading, open_reading
from taskgen.results.csv_lines import lines_of, rows_of
from taskgen.results.parquet_table import RunCells, cells_of, columns, load_pyarrow, schema
from taskgen.results.rows import COLUMNS
from taskgen.results.selection import Selection, check, parameter_names, selected

#: Bytes of a chunk, as good as; the last one is smaller.
CHUNK_BYTES = 256 * 2**10

#: Rows of a row group of Parquet; so many are in memory at once.
ROWS_PER_GROUP = 20_000


class Format(StrEnum):
    """How results are written."""

    CSV = "csv"  #: a row for each activation
    JSONL = "jsonl"  #: a line for each run, with its activations
    PARQUET = "parquet"  #: a row for each activation; needs pyarrow

    @property
    def media_type(self) -> str:
        """What HTTP calls it."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSONL: "application/jsonl",
    Format.PARQUET: "application/vnd.apache.parquet",
}


def export_file(path: Path, form: Format, selection: Selection | None = None) -> Iterator[bytes]:
    """The selected runs of a queue's database as chunks of a file. Blocks.

    The database may be in use by an engine, or by nobody.

    :param selection: ``None``: all.
    :raises ConfigError: if pyarrow is needed, and missing.
    :raises UnknownJobError: if there is no such job.
    :raises QueueError: if the database cannot be read.
    """
    chosen, form = selection or Selection(), _checked(form)
    reading = open_reading(path)
    try:
        check(reading, chosen)
    except BaseException:
        reading.close()
        raise
    return _closing(reading, form, chosen)


async def export(queue: JobQueue, form: Format, selection: Selection | None = None) -> Export:
    """The selected runs of a queue as chunks of a file, beside an engine that works.

    Each chunk is made when it is asked for, on a thread of the export's own. All errors that can be
    foreseen come before the first chunk is asked for. To be closed by whoever does not read it all.

    Parameters and errors as :func:`export_file`.
    """
    chosen, form = selection or Selection(), _checked(form)
    reader = queue.another_reader()
    try:
        await reader.step(lambda reading: check(reading, chosen))
    except BaseException:
        await reader.close()
        raise
    return Export(reader, form, chosen)


def _checked(form: Format) -> Format:
    form = Format(form)  # a plain "csv" is welcome, too
    if form is Format.PARQUET:
        load_pyarrow()
    return form


def _closing(reading: Reading, form: Format, selection: Selection) -> Iterator[bytes]:
    with closing(reading):
        yield from _chunks(reading, form, selection)


class Export(AsyncIterator[bytes]):
    """The chunks of a file; made by :func:`export`. Closes itself at the end, or when one fails.

    No generator: one that nobody has begun to read would not give back what it holds.
    """

    def __init__(self, reader: Reader, form: Format, selection: Selection) -> None:
        self._reader = reader
        self._form = form
        self._selection = selection
        self._chunks: Iterator[bytes] | None = None
        self._closed = False

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        try:
            chunk = await self._reader.step(self._next)
        except BaseException:
            await self.aclose()
            raise
        if not chunk:
            await self.aclose()
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """Give back what it holds, at whatever point. May be called again."""
        self._closed = True
        await self._reader.close()

    def _next(self, reading: Reading) -> bytes:
        if self._chunks is None:
            self._chunks = _chunks(reading, self._form, self._selection)
        return next(self._chunks, b"")


def _chunks(reading: Reading, form: Format, selection: Selection) -> Iterator[bytes]:
    runs = selected(reading, selection)
    try:
        if form is Format.CSV:
            yield from _joined(_csv(runs, parameter_names(reading, selection)))
        elif form is Format.JSONL:
            yield from _joined(map(line_of, runs))
        else:
            yield from _joined(_parquet(runs))
    except ValueError as error:  # a number that the format has no place for
        raise QueueError(f"results cannot be written as {form}: {error}") from error


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in chunks that are worth sending."""
    gathered, size = [], 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)


def _csv(runs: Iterable[Run], names: list[str]) -> Iterator[bytes]:
    yield lines_of([[*COLUMNS, *names]])
    for run in runs:
        yield rows_of(run, [run.variant.parameters.get(name, "") for name in names])


def _parquet(runs: Iterable[Run]) -> Iterator[bytes]:
    pyarrow, parquet = load_pyarrow()
    names = schema(pyarrow)
    sink = _Sink()
    with parquet.ParquetWriter(sink, names, compression="zstd") as writer:
        for group in _groups(runs):
            writer.write_table(pyarrow.table(columns(group), schema=names))
            yield sink.taken()
    yield sink.taken()


def _groups(runs: Iterable[Run]) -> Iterator[list[RunCells]]:
    group: list[RunCells] = []
    rows = 0
    for run in runs:
        group.append(cells_of(run))
        rows += len(group[-1].activations)
        if rows >= ROWS_PER_GROUP:
            yield group
            group, rows = [], 0
    if rows:
        yield group


class _Sink(io.RawIOBase):
    """A file that is only written, and taken away piece by piece."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def taken(self) -> bytes:
        """What was written since the last call."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)

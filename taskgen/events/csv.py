"""Activations into a CSV file, one row each."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from taskgen.errors import ConfigError
from taskgen.events.handler import EventHandler
from taskgen.interfaces import Run
from taskgen.results.append_file import AppendFile, check
from taskgen.results.csv_lines import lines_of, rows_of
from taskgen.results.rows import COLUMNS

__all__ = ["COLUMNS", "CsvHandler"]

log = logging.getLogger(__name__)

_RUN_ID, _ROWS = COLUMNS.index("run_id"), COLUMNS.index("rows")


class CsvHandler(EventHandler):
    """Appends the activations of each run to a CSV file.

    After the fixed columns comes one for each parameter of the variants, such as ``1.period``. When
    a job brings parameters that the file has no column for, the file is written anew with the
    wider header and takes the old one's place in one step.

    The rows of a run are written at its end, whole lines in one call. A run that the file has
    already is not written again. What a crash has left of a run that was not written whole is cut
    off when the file is next opened: a run is in the file with all its rows, or not at all. Nobody
    else can write to the file as long as the handler has it open, from the first run to its end.

    :param path: the file; created at the end of the first run if it does not exist, else appended
        to.
    :raises ConfigError: if it cannot be written or holds something else.
    :ivar rows: rows added.
    :ivar repeats: runs that were in the file already.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.rows = 0
        self.repeats = 0
        self._columns: list[str] = []
        self._runs: set[str] = set()
        self._file: AppendFile | None = None
        check(self.path)
        if self.path.exists():
            with self.path.open("rb") as existing:
                self._header(existing.readline())

    @property
    def name(self) -> str:
        return f"CsvHandler({self.path})"

    def on_finish(self, run: Run) -> None:
        assert run.outcome is not None
        file = self._file or self._open()
        if run.id in self._runs:
            self.repeats += 1
            return
        unknown = [name for name in run.variant.parameters if name not in self._columns]
        if unknown:
            self._widen(file, unknown)
        own = [run.variant.parameters.get(name, "") for name in self._columns[len(COLUMNS) :]]
        file.append(rows_of(run, own))
        self._runs.add(run.id)
        self.rows += len(run.outcome.activations)

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self) -> AppendFile:
        """The file, with a header and whole runs only."""
        file = AppendFile(self.path)
        try:
            header = next((line for _, line in file.lines()), b"")
            self._columns = self._header(header)
            if not header:
                self._columns = list(COLUMNS)
                file.append(lines_of([COLUMNS]))
            self._read_runs(file)
        except BaseException:
            file.close()
            raise
        self._file = file
        return file

    def _read_runs(self, file: AppendFile) -> None:
        """Find the runs that the file has, and cut off a last one that it does not have whole."""
        self._runs.clear()
        last_id, first_offset, count, line = "", 0, 0, b""
        lines = file.lines()
        next(lines, None)
        for offset, line in lines:
            run_id = _run_id(line)
            if run_id != last_id:
                self._runs.add(run_id)
                last_id, first_offset, count = run_id, offset, 0
            count += 1
        if count:
            wanted = next(_read([line]))[_ROWS]
            if wanted.isdecimal() and count >= int(wanted):
                return
            log.warning(
                "%s: run %s was not written whole: %d of its %s rows are cut off",
                self.path,
                last_id,
                count,
                wanted,
            )
            file.truncate(first_offset)
            self._runs.discard(last_id)

    def _header(self, header: bytes) -> list[str]:
        """The columns of a file of ours; none if it has no header yet, or a torn one."""
        if header.endswith(b"\n"):
            columns = next(_read([header]), [])
            if tuple(columns[: len(COLUMNS)]) == COLUMNS:
                return columns
        elif header.startswith(ours := lines_of([COLUMNS])[:-1]) or ours.startswith(header):
            return []
        raise ConfigError(
            f"{self.path}: exists, and is not a file of activations", hint="name another file"
        )

    def _widen(self, file: AppendFile, parameters: list[str]) -> None:
        def wider() -> Iterator[bytes]:
            yield lines_of([[*self._columns, *parameters]])
            old = (line for _, line in file.lines())
            next(old)
            more = b"," * len(parameters) + b"\n"
            for line in old:
                yield line[:-1] + more

        file.rewrite(wider())
        self._columns += parameters


def _run_id(line: bytes) -> str:
    if line.startswith(b'"'):
        return next(_read([line]))[_RUN_ID]
    return line[: line.index(b",")].decode()


def _read(lines: Iterable[bytes]) -> Iterator[list[str]]:
    return csv.reader(line.decode("utf-8", "replace") for line in lines)

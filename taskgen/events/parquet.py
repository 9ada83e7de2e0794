"""Activations into Parquet files, for analysis of very many. Needs ``pyarrow``."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from taskgen.errors import ConfigError
from taskgen.events.handler import EventHandler
from taskgen.interfaces import Run
from taskgen.results.append_file import AppendFile
from taskgen.results.append_file import check as check_file
from taskgen.results.parquet_table import RunCells, cells_of, columns, load_pyarrow, schema

#: Rows that wait before a part is written.
ROWS_PER_PART = 100_000

#: Not read as a part, because of its name: what waits to become one.
JOURNAL = "_waiting.jsonl"

_PART = "part-*.parquet"


class ParquetHandler(EventHandler):
    """Writes activations as a directory of Parquet files, which is one data set to its readers.

    Every part is written whole and then takes its place in one step, so that the directory can be
    read at any time. Runs that wait for the next part are in a journal beside the parts; after a
    crash they are taken from there, so that nothing is lost that was written. A run that is there
    already is not written again. Nobody else can write to the directory meanwhile.

    :param path: the directory; made at the end of the first run if it does not exist.
    :param rows_per_part: rows that make a part.
    :raises ConfigError: if pyarrow is missing, or the directory cannot be used.
    :ivar repeats: runs that were there already.
    :ivar recovered: runs that a crash had left in the journal.
    """

    def __init__(self, path: str | os.PathLike[str], *, rows_per_part: int = ROWS_PER_PART) -> None:
        self.path = Path(path)
        self.repeats = self.recovered = 0
        self._rows_per_part = rows_per_part
        self._runs: set[str] = set()
        self._waiting: list[RunCells] = []
        self._rows = 0
        self._journal: AppendFile | None = None
        load_pyarrow()
        self._check()

    @property
    def name(self) -> str:
        return f"ParquetHandler({self.path})"

    def on_finish(self, run: Run) -> None:
        journal = self._journal or self._open()
        if run.id in self._runs:
            self.repeats += 1
            return
        waiting = cells_of(run)
        # One line for the run: it can only be torn as a whole.
        fields = {name: getattr(waiting, name) for name in RunCells.__slots__}
        line = json.dumps(fields, separators=(",", ":"))
        journal.append(line.encode("ascii") + b"\n")
        self._take(run.id, waiting)
        if self._rows >= self._rows_per_part:
            self.flush()

    def flush(self) -> None:
        """Make a part of what waits."""
        if self._journal is None or not self._waiting:
            return
        pyarrow, parquet = load_pyarrow()
        table = pyarrow.table(columns(self._waiting), schema=schema(pyarrow))
        part = self.path / f"part-{uuid.uuid4().hex}.parquet"
        new = self.path / f"_{part.name}.new"
        try:
            with new.open("wb") as file:
                parquet.write_table(table, file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            new.rename(part)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        # A crash in between is harmless: the runs of the journal are found in the part.
        self._forget()
        self._journal.truncate(0)

    def close(self) -> None:
        if self._journal is None:
            return
        try:
            self.flush()
        finally:
            self._journal.close()
            self._journal = None
            self._forget()

    def _open(self) -> AppendFile:
        self.path.mkdir(exist_ok=True)
        journal = AppendFile(self.path / JOURNAL)
        try:
            for leftover in self.path.glob(f"_{_PART}.new"):
                leftover.unlink()  # ours alone, now that the journal is
            self._runs = self._runs_of_parts()
            self._recover(journal)
        except BaseException:
            journal.close()
            raise
        self._journal = journal
        return journal

    def _runs_of_parts(self) -> set[str]:
        parquet = load_pyarrow()[1]
        found: set[str] = set()
        for part in self.path.glob(_PART):
            column = parquet.read_table(part, columns=["run_id"])["run_id"]
            found.update(column.unique().to_pylist())
        return found

    def _recover(self, journal: AppendFile) -> None:
        self._forget()
        for _, line in journal.lines():
            waiting = RunCells(**json.loads(line))
            if waiting.run["run_id"] not in self._runs:
                self._take(waiting.run["run_id"], waiting)
                self.recovered += 1

    def _take(self, run_id: str, waiting: RunCells) -> None:
        self._runs.add(run_id)
        self._waiting.append(waiting)
        self._rows += len(waiting.activations)

    def _forget(self) -> None:
        self._waiting.clear()
        self._rows = 0

    def _check(self) -> None:
        if not self.path.exists():
            check_file(self.path)
        elif not self.path.is_dir():
            raise ConfigError(f"{self.path}: not a directory", hint="parts are files inside of it")
        elif any(self.path.iterdir()) and not (self.path / JOURNAL).is_file():
            raise ConfigError(
                f"{self.path}: exists, and is not a data set of activations",
                hint="name another directory",
            )
        else:
            check_file(self.path / JOURNAL)

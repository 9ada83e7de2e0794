"""Activations into Parquet files, for analysis of very many. Needs ``pyarrow``."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgen.errors import ConfigError
from taskgen.events.handler import EventHandler
from taskgen.frozen import thaw
from taskgen.interfaces import Run
from taskgen.provenance import Provenance
from taskgen.results.append_file import AppendFile
from taskgen.results.append_file import check as check_file
from taskgen.results.rows import (
    ACTIVATION_COLUMNS,
    COLUMNS,
    PROVENANCE_COLUMNS,
    RUN_COLUMNS,
    activation_cells,
    provenance_cells,
    run_cells,
)

#: Rows that wait before a part is written.
ROWS_PER_PART = 100_000

#: Not read as a part, because of its name: what waits to become one.
JOURNAL = "_waiting.jsonl"

_PART = "part-*.parquet"

_TEXT = ("run_id", "job_id", "target", "result", "pkg", "exit", "taskgen", "taskset")
_HASHES = ("taskset_sha256", "description_sha256", "image_sha256", "binaries")
_TYPES = {
    **dict.fromkeys((*_TEXT, *_HASHES, "seed", "profile", "accelerator", "qemu", "host"), "string"),
    **dict.fromkeys(("missed", "emulated", "icount"), "bool_"),
    "started_at": "float64",
}


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
        self._waiting: list[_Waiting] = []
        self._rows = 0
        self._journal: AppendFile | None = None
        _pyarrow()
        self._check()

    @property
    def name(self) -> str:
        return f"ParquetHandler({self.path})"

    def on_finish(self, run: Run) -> None:
        journal = self._journal or self._open()
        if run.id in self._runs:
            self.repeats += 1
            return
        waiting = _waiting(run)
        # One line for the run: it can only be torn as a whole.
        fields = {name: getattr(waiting, name) for name in _Waiting.__slots__}
        line = json.dumps(fields, separators=(",", ":"))
        journal.append(line.encode("ascii") + b"\n")
        self._take(run.id, waiting)
        if self._rows >= self._rows_per_part:
            self.flush()

    def flush(self) -> None:
        """Make a part of what waits."""
        if self._journal is None or not self._waiting:
            return
        pyarrow, parquet = _pyarrow()
        table = pyarrow.table(_columns(self._waiting), schema=_schema(pyarrow))
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
        parquet = _pyarrow()[1]
        found: set[str] = set()
        for part in self.path.glob(_PART):
            column = parquet.read_table(part, columns=["run_id"])["run_id"]
            found.update(column.unique().to_pylist())
        return found

    def _recover(self, journal: AppendFile) -> None:
        self._forget()
        for _, line in journal.lines():
            waiting = _Waiting(**json.loads(line))
            if waiting.run["run_id"] not in self._runs:
                self._take(waiting.run["run_id"], waiting)
                self.recovered += 1

    def _take(self, run_id: str, waiting: _Waiting) -> None:
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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A run that waits for the next part, as it stands in the journal.

    :ivar run: the cells that all its rows share.
    :ivar activations: those of :data:`ACTIVATION_COLUMNS`.
    """

    run: dict[str, Any]
    parameters: Sequence[Sequence[str]]
    activations: Sequence[Sequence[Any]]


def _waiting(run: Run) -> _Waiting:
    """What is kept of a run.

    :raises ValueError: if a number has more than 64 bits, which Parquet has no type for. Found out
        now, it costs this run only, and not all that wait for the same part.
    """
    assert run.outcome is not None
    provenance = dict(zip(PROVENANCE_COLUMNS, provenance_cells(Provenance.of(run)), strict=True))
    seed = provenance["seed"]
    shared = {
        **dict(zip(RUN_COLUMNS, run_cells(run), strict=True)),
        "rows": len(run.outcome.activations),
        **provenance,
        "seed": None if seed is None else str(seed),
    }
    activations = [activation_cells(each) for each in run.outcome.activations]
    named = [
        *shared.items(),
        *(pair for row in activations for pair in zip(ACTIVATION_COLUMNS, row, strict=True)),
    ]
    for name, cell in named:
        if isinstance(cell, int) and not -(2**63) <= cell < 2**63:
            raise ValueError(f"run {run.id}: {name} = {cell}: Parquet has only 64 bits for it")
    parameters = [(name, _text(value)) for name, value in run.variant.parameters.items()]
    return _Waiting(shared, parameters, activations)


def _columns(waiting: Sequence[_Waiting]) -> dict[str, list[Any]]:
    """All rows, column by column."""
    columns: dict[str, list[Any]] = {name: [] for name in (*COLUMNS, "parameters")}
    for each in waiting:
        count = len(each.activations)
        for name, value in each.run.items():
            columns[name] += [value] * count
        columns["parameters"] += [[tuple(pair) for pair in each.parameters]] * count
        for number, name in enumerate(ACTIVATION_COLUMNS):
            columns[name] += [row[number] for row in each.activations]
    return columns


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, Mapping, list, tuple)):
        return json.dumps(thaw(value), default=str)
    return str(value)


def _schema(pyarrow: Any) -> Any:
    """Always the same, whatever varies: readers need not bring parts together."""
    columns = [(name, getattr(pyarrow, _TYPES.get(name, "int64"))()) for name in COLUMNS]
    parameters = pyarrow.map_(pyarrow.string(), pyarrow.string())
    return pyarrow.schema([*columns, ("parameters", parameters)])


def _pyarrow() -> tuple[Any, Any]:
    """The library and its module for Parquet; imported when the first handler is made."""
    try:
        import pyarrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            "Parquet files need pyarrow", hint="pip install 'taskgen[parquet]'"
        ) from error
    return pyarrow, parquet

"""Activations into a CSV file, one row each."""

from __future__ import annotations

import csv
import errno
import io
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from taskgen.errors import ConfigError
from taskgen.events.handler import EventHandler
from taskgen.events.model import Activation
from taskgen.interfaces import Run

#: The fixed columns; docs/results.md explains them. Times: µs on the guest's clock, 0 at START.
COLUMNS = (
    "run_id",
    "variant",
    "attempt",
    "target",
    "result",
    "task_id",
    "pkg",
    "activation",
    "release_us",
    "start_us",
    "end_us",
    "deadline_us",
    "cpu_us",
    "response_us",
    "missed",
    "exit",
)


class CsvHandler(EventHandler):
    """Appends the activations of each run to a CSV file.

    After the fixed columns comes one for each parameter of the variants, such as ``1.period``. When
    a job brings parameters that the file has no column for, the file is written anew with the
    wider header and takes the old one's place in one step.

    The rows of a run are written at its end, whole lines in one call. What a crash may have torn
    is cut off when the file is next opened.

    :param path: the file; created at the end of the first run if it does not exist, else appended
        to.
    :raises ConfigError: if it cannot be written or holds something else.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.rows = 0
        self._parameters: list[str] = []
        self._file: int | None = None
        self._check()

    def on_finish(self, run: Run) -> None:
        assert run.outcome is not None
        file = self._open()
        unknown = [name for name in run.variant.parameters if name not in self._parameters]
        if unknown:
            file = self._widen(file, unknown)
        result = "ok" if run.outcome.failure is None else str(run.outcome.failure)
        own = [run.variant.parameters.get(name, "") for name in self._parameters]
        head = (run.id, run.variant.index, run.attempt, run.outcome.target, result)
        _write(file, _lines([*head, *_cells(a), *own] for a in run.outcome.activations))
        self.rows += len(run.outcome.activations)

    def close(self) -> None:
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)

    def _check(self) -> None:
        """Find out now what would fail later; creates nothing."""
        folder = self.path.parent
        try:
            if self.path.exists():
                with self.path.open("rb+") as existing:
                    self._columns(existing)
            elif not folder.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            elif not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _open(self) -> int:
        """The file, with a header and no torn line."""
        if self._file is not None:
            return self._file
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self.path, flags, 0o644)
        with open(file, "rb", closefd=False) as existing:
            columns = self._columns(existing)
            end = _end_of_last_lines(existing) if columns else 0
        os.ftruncate(file, end)
        if not columns:
            _write(file, _lines([COLUMNS]))
        self._parameters = columns[len(COLUMNS) :]
        self._file = file
        return file

    def _columns(self, existing: BinaryIO) -> list[str]:
        """The header of a file of ours; empty if it has none yet, or a torn one."""
        header = existing.readline()
        if header.endswith(b"\n"):
            columns = next(csv.reader([header.decode("utf-8", "replace")]), [])
            if tuple(columns[: len(COLUMNS)]) == COLUMNS:
                return columns
        elif _lines([COLUMNS]).startswith(header):
            return []
        raise ConfigError(
            f"{self.path}: exists, and is not a file of activations", hint="name another file"
        )

    def _widen(self, file: int, parameters: list[str]) -> int:
        wider = [*self._parameters, *parameters]
        with tempfile.NamedTemporaryFile(
            "wb", dir=self.path.parent, prefix=f".{self.path.name}.", delete=False
        ) as new:
            try:
                new.write(_lines([[*COLUMNS, *wider]]))
                with self.path.open(encoding="utf-8", newline="") as old:
                    rows = csv.reader(old)
                    next(rows)
                    for row in rows:
                        new.write(_lines([[*row, *([""] * len(parameters))]]))
                new.flush()
                os.fsync(new.fileno())
                os.chmod(new.name, os.fstat(file).st_mode & 0o777)
                os.replace(new.name, self.path)
            except BaseException:
                os.unlink(new.name)
                raise
        os.close(file)
        self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        self._parameters = wider
        return self._file


def _cells(activation: Activation) -> list[Any]:
    missed = activation.missed
    return [
        activation.task_id,
        activation.pkg,
        activation.number,
        activation.release_us,
        activation.start_us,
        activation.end_us,
        activation.deadline_us,
        activation.cpu_us,
        activation.response_us,
        "" if missed is None else str(missed).lower(),
        activation.exit,
    ]


def _lines(rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as CSV. A line break inside a value would look like a torn row: it becomes ``\\n``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(
        [cell.replace("\n", "\\n") if isinstance(cell, str) else cell for cell in row]
        for row in rows
    )
    return text.getvalue().encode("utf-8")


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _end_of_last_lines(file: io.BufferedReader) -> int:
    """Offset behind the last line break."""
    position = file.seek(0, os.SEEK_END)
    while position:
        step = min(position, 4096)
        file.seek(position - step)
        found = file.read(step).rfind(b"\n")
        if found >= 0:
            return position - step + found + 1
        position -= step
    return 0

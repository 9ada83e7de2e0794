"""Runs into a file of JSON lines, one run each, with its activations inside."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taskgen.errors import ConfigError
from taskgen.events.handler import EventHandler
from taskgen.frozen import thaw
from taskgen.interfaces import Run
from taskgen.provenance import Provenance
from taskgen.results.append_file import AppendFile, check
from taskgen.results.rows import ACTIVATION_COLUMNS, RUN_COLUMNS, activation_cells, run_cells


class JsonlHandler(EventHandler):
    """Appends each run to a file of JSON lines.

    A line holds a run with everything that is known of it, so that a crash can tear only the last
    run; that is cut off when the file is next opened. A run that the file has already is not
    written again. Nobody else can write to the file as long as the handler has it open.

    :param path: the file; created at the end of the first run if it does not exist, else appended
        to.
    :param events: keep the guest's events too.
    :raises ConfigError: if it cannot be written or holds something else.
    :ivar repeats: runs that were in the file already.
    """

    def __init__(self, path: str | os.PathLike[str], *, events: bool = False) -> None:
        self.path = Path(path)
        self.repeats = 0
        self._events = events
        self._runs: set[str] = set()
        self._file: AppendFile | None = None
        check(self.path)
        if self.path.exists():
            with self.path.open("rb") as existing:
                line = existing.readline()
                if line.endswith(b"\n"):
                    self._run_id(line)
                elif line and not b'{"run_id":'.startswith(line[:10]):
                    raise self._foreign()

    @property
    def name(self) -> str:
        return f"JsonlHandler({self.path})"

    def on_finish(self, run: Run) -> None:
        file = self._file or self._open()
        if run.id in self._runs:
            self.repeats += 1
            return
        file.append(line_of(run, events=self._events))
        self._runs.add(run.id)

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _open(self) -> AppendFile:
        file = AppendFile(self.path)
        try:
            self._runs = {self._run_id(line) for _, line in file.lines()}
        except BaseException:
            file.close()
            raise
        self._file = file
        return file

    def _run_id(self, line: bytes) -> str:
        try:
            # The id comes first, so the rest of a line need not be read.
            return str(json.JSONDecoder().raw_decode(_after_key(line))[0])
        except ValueError as error:
            raise self._foreign() from error

    def _foreign(self) -> ConfigError:
        return ConfigError(f"{self.path}: exists, and is not a file of runs", hint="name another")


def line_of(run: Run, *, events: bool = False) -> bytes:
    """A run that has ended, as one line of JSON with its line break."""
    outcome = run.outcome
    assert outcome is not None
    data: dict[str, Any] = {
        **dict(zip(RUN_COLUMNS, run_cells(run), strict=True)),
        "reason": outcome.reason,
        "duration_s": outcome.duration_s,
        "parameters": thaw(run.variant.parameters),
        "activations": [
            dict(zip(ACTIVATION_COLUMNS, activation_cells(each), strict=True))
            for each in outcome.activations
        ],
        "console": outcome.console,
        "provenance": Provenance.of(run).to_data(),
    }
    if events:
        data["events"] = [
            {name: getattr(each, name) for name in each.__slots__} for each in outcome.events
        ]
    return json.dumps(data, separators=(",", ":"), default=str).encode("ascii") + b"\n"


def read(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """The runs in a file of JSON lines; a last line that is torn is left out."""
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def _after_key(line: bytes) -> str:
    start = b'{"run_id":'
    if not line.startswith(start):
        raise ValueError("no run")
    # An id has no line break and little length: cut at a place that cannot be inside of it.
    end = line.find(b',"job_id":')
    return line[len(start) : end if end > 0 else None].decode("ascii")

"""Activations as lines of CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from taskgen.interfaces import Run
from taskgen.provenance import Provenance
from taskgen.results.rows import activation_cells, provenance_cells, run_cells


def rows_of(run: Run, parameters: Sequence[Any]) -> bytes:
    """The rows of a run. What they share, which is most of it, is written out only once."""
    assert run.outcome is not None
    activations = run.outcome.activations
    head = lines_of([run_cells(run)])[:-1]
    shared = (len(activations), *provenance_cells(Provenance.of(run)), *parameters)
    tail = b"," + lines_of([shared])
    own = lines_of(map(activation_cells, activations)).split(b"\n")[:-1]
    return b"".join(head + b"," + line + tail for line in own)


def lines_of(cells: Iterable[Sequence[Any]]) -> bytes:
    """Rows as CSV. A line break in a value would look like a torn row: it is written ``\\n``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows(map(_cell, row) for row in cells)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value.replace("\n", "\\n").replace("\r", "\\r")
    return value  # None becomes an empty cell

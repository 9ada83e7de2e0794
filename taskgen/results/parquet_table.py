"""Activations as a Parquet table. Needs ``pyarrow``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskgen.errors import ConfigError
from taskgen.frozen import thaw
from taskgen.interfaces import Run
from taskgen.provenance import Provenance
from taskgen.results.rows import (
    ACTIVATION_COLUMNS,
    COLUMNS,
    PROVENANCE_COLUMNS,
    RUN_COLUMNS,
    activation_cells,
    provenance_cells,
    run_cells,
)

_TEXT = ("run_id", "job_id", "target", "result", "pkg", "exit", "taskgen", "taskset")
_HASHES = ("taskset_sha256", "description_sha256", "image_sha256", "binaries")
_TYPES = {
    **dict.fromkeys((*_TEXT, *_HASHES, "seed", "profile", "accelerator", "qemu", "host"), "string"),
    "pinned_cpus": "string",
    **dict.fromkeys(("missed", "emulated", "icount"), "bool_"),
    **dict.fromkeys(("cpus_overcommitted", "memory_overcommitted"), "bool_"),
    **dict.fromkeys(("started_at", "host_cores", "vcpu_wait_ms", "host_steal_share"), "float64"),
}


@dataclass(frozen=True, slots=True)
class RunCells:
    """What is kept of a run: all cells of its rows.

    :ivar run: the cells that all its rows share.
    :ivar activations: those of :data:`ACTIVATION_COLUMNS`.
    """

    run: dict[str, Any]
    parameters: Sequence[Sequence[str]]
    activations: Sequence[Sequence[Any]]


def cells_of(run: Run) -> RunCells:
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
    return RunCells(shared, parameters, activations)


def columns(runs: Sequence[RunCells]) -> dict[str, list[Any]]:
    """All rows, column by column."""
    found: dict[str, list[Any]] = {name: [] for name in (*COLUMNS, "parameters")}
    for each in runs:
        count = len(each.activations)
        for name, value in each.run.items():
            found[name] += [value] * count
        found["parameters"] += [[tuple(pair) for pair in each.parameters]] * count
        for number, name in enumerate(ACTIVATION_COLUMNS):
            found[name] += [row[number] for row in each.activations]
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, Mapping, list, tuple)):
        return json.dumps(thaw(value), default=str)
    return str(value)


def schema(pyarrow: Any) -> Any:
    """Always the same, whatever varies: readers need not bring parts together."""
    fields = [(name, getattr(pyarrow, _TYPES.get(name, "int64"))()) for name in COLUMNS]
    parameters = pyarrow.map_(pyarrow.string(), pyarrow.string())
    return pyarrow.schema([*fields, ("parameters", parameters)])


def load_pyarrow() -> tuple[Any, Any]:
    """The library and its module for Parquet; imported when the first handler is made."""
    try:
        import pyarrow  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            "Parquet files need pyarrow", hint="pip install 'taskgen[parquet]'"
        ) from error
    return pyarrow, parquet

"""Tasks side by side, a column for each, in tables that fit the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from taskgen.cli.console import output
from taskgen.cli.taskset_text import held, one, size, varies
from taskgen.keys import KEYS, KeyType
from taskgen.taskset import TaskSet
from taskgen.variant import Variant

#: Longer values are folded.
MAX_WIDTH = 32


@dataclass(frozen=True)
class Column:
    """One task.

    :ivar cells: by path, such as ``config.arg1``; the defaults too.
    """

    heading: str
    cells: Mapping[str, Text]

    @property
    def width(self) -> int:
        longest = max(cell_len(each) for each in (self.heading, *map(str, self.cells.values())))
        return min(longest, MAX_WIDTH)


def of_tasks(taskset: TaskSet) -> list[Column]:
    """Tasks with what they hold, one value or many."""
    columns = []
    for task in taskset:
        cells = {}
        for path, value in task.paths():
            often = size(value) if varies(value) else None
            text = held(value) + (f" x{often}" if often else "")
            cells[path] = Text(text, style="bold cyan" if varies(value) else "")
        columns.append(Column(f"task {task.id}", _with_defaults(cells)))
    return columns


def of_variant(taskset: TaskSet, variant: Variant) -> list[Column]:
    """The tasks of one variant."""
    columns = []
    for task, filled in zip(taskset, variant.tasks, strict=True):
        cells = {
            path: Text(one(value), style="bold cyan" if _varied(variant, task.id, path) else "")
            for path, value in _paths(filled)
            if path.partition(".")[0] in task
        }
        columns.append(Column(f"task {task.id}", _with_defaults(cells)))
    return columns


def tables(columns: list[Column]) -> Iterator[Table]:
    """As many tables one below the other as it takes."""
    paths = list(_rows(columns))
    left = output().width - max(map(cell_len, paths)) - len("bytes") - 6
    while columns:
        taken, used = 0, 0
        while taken < len(columns) and (not taken or used + columns[taken].width + 3 <= left):
            used += columns[taken].width + 3
            taken += 1
        yield _table(paths, columns[:taken])
        columns = columns[taken:]


def _table(paths: list[str], columns: list[Column]) -> Table:
    table = Table(show_edge=False)
    table.add_column("key", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for column in columns:
        table.add_column(column.heading, overflow="fold")
    for path in paths:
        unit = KEYS[path].unit if path in KEYS else ""
        cells = (column.cells.get(path, Text("-", style="dim")) for column in columns)
        table.add_row(Text(path), Text(unit, style="dim"), *cells)
    return table


def _rows(columns: list[Column]) -> Iterator[str]:
    """All paths that any task has, in the order of the keys; the id is in the heading."""
    for name in KEYS:
        if name == "id":
            continue
        parts = {p: None for c in columns for p in c.cells if p.startswith(f"{name}.")}
        if parts:
            yield from parts
        else:
            yield name


def _with_defaults(cells: dict[str, Text]) -> dict[str, Text]:
    for name, key in KEYS.items():
        if name not in cells and key.default is not None:
            default = "empty" if key.type in (KeyType.TREE, KeyType.DATA) else one(key.default)
            cells[name] = Text(f"({default})", style="dim")
    return cells


def _paths(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its whole path."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _paths(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _varied(variant: Variant, number: int | None, path: str) -> bool:
    return f"{number}.{path}" in variant.parameters

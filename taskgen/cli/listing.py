"""Lists for people and for programs.

A list for people fits the terminal: the columns that matter least are left out where it is narrow,
and that is said. Where the output is no terminal nothing is left out, so that ``grep`` finds it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import click
from pydantic import BaseModel
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from taskgen.cli.console import output
from taskgen.printable import printable

T = TypeVar("T")

#: Colours of states, where they say something.
COLOURS = {
    "ready": "green",
    "running": "cyan",
    "working": "cyan",
    "done": "green",
    "failed": "red",
    "bad": "red",
    "stopped": "red",
    "paused": "yellow",
    "held": "yellow",
    "draining": "yellow",
    "cancelled": "yellow",
}

#: Room between two columns.
_GAP = 3


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column of a list.

    :ivar cell: what stands in it.
    :ivar rank: columns of the highest rank are left out first; 0: never.
    :ivar right: numbers stand at the right.
    """

    heading: str
    cell: Callable[[T], str | Text]
    rank: int = 0
    right: bool = False


def state(word: str) -> Text:
    """A state in its colour."""
    return Text(word, style=COLOURS.get(word, ""))


def print_list(items: Sequence[T], columns: Sequence[Column[T]], *, empty: str) -> None:
    """Print a table, or ``empty`` if there is nothing to be listed."""
    if not items:
        click.echo(empty)
        return
    console = output()
    cells = [[_text(column.cell(item)) for item in items] for column in columns]
    if console.is_terminal:
        _print_table(console, columns, cells)
    else:
        _print_plain(columns, cells)


def print_facts(facts: Iterable[tuple[str, str | Text]]) -> None:
    """Print facts, a line for each, with the names on the left."""
    console, rows = output(), [(name, _text(value)) for name, value in facts]
    if not console.is_terminal:
        longest = max(len(name) for name, _ in rows)
        for name, value in rows:
            click.echo(f"{name:{longest}}  {value.plain}")
        return
    table = Table(show_edge=False, show_header=False, box=None, pad_edge=False)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)


def print_json(value: BaseModel | Sequence[BaseModel]) -> None:
    """Print resources of the API as they are, one or a list."""
    data = (
        value.model_dump(mode="json")
        if isinstance(value, BaseModel)
        else [each.model_dump(mode="json") for each in value]
    )
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def _print_table(
    console: Console, columns: Sequence[Column[T]], cells: Sequence[Sequence[Text]]
) -> None:
    shown = _fitting(console.width, columns, cells)
    table = Table(show_edge=False)
    for column in (columns[index] for index in shown):
        justify: JustifyMethod = "right" if column.right else "left"
        table.add_column(column.heading, justify=justify, overflow="fold")
    for row in zip(*(cells[index] for index in shown), strict=True):
        table.add_row(*row)
    console.print(table)
    left_out = [column.heading for index, column in enumerate(columns) if index not in shown]
    if left_out:
        console.print(Text(f"Too narrow for: {', '.join(left_out)}.", style="dim"), soft_wrap=True)


def _print_plain(columns: Sequence[Column[T]], cells: Sequence[Sequence[Text]]) -> None:
    widths = _widths(columns, cells)
    rows = [[column.heading for column in columns]]
    rows += [[cell.plain for cell in row] for row in zip(*cells, strict=True)]
    for row in rows:
        padded = (
            " " * (width - cell_len(cell)) + cell
            if column.right
            else cell + " " * (width - cell_len(cell))
            for column, cell, width in zip(columns, row, widths, strict=True)
        )
        click.echo((" " * _GAP).join(padded).rstrip())


def _fitting(
    width: int, columns: Sequence[Column[T]], cells: Sequence[Sequence[Text]]
) -> list[int]:
    widths = _widths(columns, cells)
    shown = list(range(len(columns)))
    while sum(widths[index] + _GAP for index in shown) - _GAP + 2 > width:
        last = max(shown, key=lambda index: (columns[index].rank, index))
        if columns[last].rank == 0:
            break
        shown.remove(last)
    return shown


def _widths(columns: Sequence[Column[T]], cells: Sequence[Sequence[Text]]) -> list[int]:
    return [
        max(cell_len(column.heading), *(cell.cell_len for cell in each))
        for column, each in zip(columns, cells, strict=True)
    ]


def _text(cell: str | Text) -> Text:
    return Text(printable(cell)) if isinstance(cell, str) else cell

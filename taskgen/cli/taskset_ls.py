"""``taskgen taskset ls``"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from taskgen.cli.note import note
from taskgen.cli.taskset_search import Entry, in_directory, in_file, in_module, known
from taskgen.cli.taskset_text import emit, one
from taskgen.files import FORMATS


@click.command()
@click.argument("where", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def ls(where: str | None, as_json: bool) -> None:
    """List task-sets, and how many variants each has.

    Without WHERE: those that come with Taskgen, and those of entry points. WHERE is a module, a
    Python file, a document, or a directory with such files. Modules are imported for it; those of a
    directory only if they do nothing but define things.
    """
    entries = list(_entries(where))
    if as_json:
        print(json.dumps([asdict(entry) for entry in entries], indent=2))
        return
    if not entries:
        note(f"no task-sets in {where}")
        sys.exit(0)
    table = Table(show_edge=False)
    table.add_column("task-set", overflow="fold")
    table.add_column("variants", justify="right", no_wrap=True)
    table.add_column("description", overflow="fold")
    for entry in entries:
        count = "?" if entry.variants is None else str(entry.variants)
        said = Text(one(entry.description.replace("``", "")) if entry.description else "")
        if entry.error:
            count, said = "-", Text(entry.error, style="red")
        table.add_row(Text(one(entry.name)), count, said)
    emit(table)
    _tell_place(where)


def _tell_place(where: str | None) -> None:
    """Modules are found from where one is: say so, where that is somewhere else."""
    path = Path(where or ".").resolve()
    if path.exists() and not path.is_relative_to(Path.cwd()):
        note(f"modules have these names in {path if path.is_dir() else path.parent}")


def _entries(where: str | None) -> Iterator[Entry]:
    if where is None:
        return known()
    path = Path(where)
    if path.is_dir():
        return in_directory(path)
    if path.suffix == ".py" or path.suffix.lower().removeprefix(".") in FORMATS:
        return in_file(path)
    return in_module(where, Path.cwd())

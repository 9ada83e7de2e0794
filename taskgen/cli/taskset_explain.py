"""``taskgen taskset explain``"""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich.table import Table
from rich.text import Text

from taskgen.cli.taskset_text import emit
from taskgen.explain import Explanation, explain_all
from taskgen.explain import explain as explain_one


@click.command()
@click.argument("key", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(key: str | None, as_json: bool) -> None:
    """Say what the keys of a task mean.

    All of them in a table, or KEY in full. KEY may be a part, such as config.arg1.
    """
    found = [explain_one(key)] if key else explain_all()
    if as_json:
        rows = [asdict(each) for each in found]
        print(json.dumps(rows[0] if key else rows, indent=2))
    elif key:
        emit(_in_full(found[0]))
    else:
        emit(_table(found))


def _table(found: list[Explanation]) -> Table:
    table = Table(show_edge=False)
    table.add_column("key", no_wrap=True)
    for heading in ("default", "unit", "allowed", "sent", "meaning"):
        table.add_column(heading, overflow="fold")
    for each in found:
        words = (each.default, each.unit, each.allowed, each.sent, each.meaning)
        table.add_row(Text(each.name, style="bold"), *map(Text, words))
    return table


def _in_full(each: Explanation) -> Table:
    table = Table.grid(padding=(0, 2))
    for name in ("key", "meaning", "allowed", "unit", "default", "sent"):
        value = getattr(each, "name" if name == "key" else name)
        if value:
            table.add_row(name, Text(value, style="bold" if name == "key" else ""))
    if each.name != "id":
        table.add_row("variants", "many values, as in a list, make a variant each")
    return table

"""``taskgen config``"""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import click
from rich.text import Text

from taskgen.cli.listing import print_facts
from taskgen.cli.options import json_option
from taskgen.settings_sources import sourced


@click.group()
def config() -> None:
    """Show the settings."""


@config.command()
@json_option
@click.option("--config", "file", type=click.Path(path_type=Path), metavar="FILE", help="Settings.")
def show(as_json: bool, file: Path | None) -> None:
    """Show the settings that a command started here would have, and where each comes from.

    Exit status 0: they can be used; 2: they cannot.
    """
    found = sourced(file)
    if as_json:
        tree = {
            section: {each.key: {"value": each.value, "source": each.source} for each in part}
            for section, part in groupby(found, key=lambda each: each.section)
        }
        click.echo(json.dumps(tree, indent=2, ensure_ascii=False))
        return
    print_facts(
        (
            f"{each.section}.{each.key}",
            Text("-" if each.value is None else json.dumps(each.value, ensure_ascii=False)).append(
                "" if each.source == "default" else f"   from {each.source}", style="cyan"
            ),
        )
        for each in found
    )

"""``taskgen down``"""

from __future__ import annotations

import sys

import click

from taskgen.cli.note import note
from taskgen.host.cleanup import down as remove


@click.command()
def down() -> None:
    """Remove what crashed fleets left behind.

    Whatever belongs to an engine that lives, or to anybody else, is left alone.

    Exit status 0: nothing of a crash is left; 1: something could not be removed.
    """
    report = remove()
    for line in report.removed:
        click.echo(f"removed {line}")
    for line in report.left:
        note(f"left alone: {line}")
    for line in report.failed:
        note(f"could not be removed: {line}")
    if not report.removed and not report.failed:
        click.echo("nothing to remove")
    sys.exit(bool(report.failed))

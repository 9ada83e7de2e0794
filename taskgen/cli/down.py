"""``taskgen down``"""

from __future__ import annotations

import sys

import click

from taskgen.cli.note import note
from taskgen.host.cleanup import down as remove
from taskgen.host.cleanup import living_daemons


@click.command()
@click.option("--force", is_flag=True, help="End a daemon that lives, and remove its fleet too.")
def down(force: bool) -> None:
    """Remove what crashed fleets left behind.

    Whatever belongs to an engine that lives, or to anybody else, is left alone. While a daemon
    lives nothing is done, unless by force: it may finish what runs, then its machines are removed.
    Queue and results stay.

    Exit status 0: nothing of a crash is left; 1: something could not be removed, or a daemon lives.
    """
    if not force and (pids := living_daemons()):
        note(f"a daemon lives (pid {pids[0]}), so nothing was removed (stop it, or use --force)")
        sys.exit(1)
    report = remove(force=force)
    for line in report.removed:
        click.echo(f"removed {line}")
    for line in report.left:
        note(f"left alone: {line}")
    for line in report.failed:
        note(f"could not be removed: {line}")
    if not report.removed and not report.failed:
        click.echo("nothing to remove")
    sys.exit(bool(report.failed))

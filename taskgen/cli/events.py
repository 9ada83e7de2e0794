"""``taskgen events``"""

from __future__ import annotations

import click

from taskgen.cli.event_text import in_a_line
from taskgen.cli.options import job_option, json_option
from taskgen.cli.units import clock
from taskgen.client import Client
from taskgen.printable import printable
from taskgen.resources import EventKind


@click.command()
@click.option(
    "--kind",
    "kinds",
    type=click.Choice([str(kind) for kind in EventKind]),
    multiple=True,
    help="Only these; all but run.event, where none is named.",
)
@job_option
@click.option("--after", metavar="EVENT", help="Go on behind this event, by its id.")
@json_option
def events(kinds: tuple[str, ...], job_id: str | None, after: str | None, as_json: bool) -> None:
    """Follow what happens, until Ctrl-C.

    A restart of the daemon is survived; what was missed meanwhile is told.

    Exit status 130: interrupted; 2: bad input; 3: no daemon answers.
    """
    with Client() as client:
        if job_id:
            client.job(job_id)  # so that one that is not there is told
        for event in client.events(after, kinds=kinds, job=job_id):
            if as_json:
                line = event.model_dump_json()
            else:
                line = printable(f"{clock(event.at)}  {event.kind:12}  {in_a_line(event)}")
            click.echo(line)

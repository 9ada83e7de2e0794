"""``taskgen results export``"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from taskgen.cli.note import note
from taskgen.cli.options import job_option, label_option
from taskgen.cli.output_file import OutputPath, output_file
from taskgen.cli.units import moment_of
from taskgen.client import Client
from taskgen.errors import ConfigError

#: What the API can make; also the endings of the files' names.
FORMATS = ("csv", "jsonl", "parquet")

FAILURES = ("task", "guest", "machine", "infrastructure")


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="Default: by the end of FILE's name, else csv.",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=OutputPath(default_is_stdout=True),
    metavar="FILE",
    help="Write here, all or nothing; default: standard output.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@job_option
@label_option("Of jobs with this label; all of them, if given often.")
@click.option("--target", metavar="NAME", help="Of one machine or board.")
@click.option("--failure", type=click.Choice(FAILURES), help="Only attempts that failed so.")
@click.option("--since", metavar="TIME", help="Begun then or later: 2026-05-01T12:30, or 2h ago.")
@click.option("--until", metavar="TIME", help="Begun before then.")
def export(  # noqa: PLR0917 - click passes each option by its name
    form: str | None,
    path: Path | None,
    force: bool,
    job_id: str | None,
    labels: dict[str, str],
    target: str | None,
    failure: str | None,
    since: str | None,
    until: str | None,
) -> None:
    """Export what the daemon's jobs have measured.

    Exit status 0: done; 1: the daemon cannot; 2: bad input; 3: no daemon answers.
    """
    ending = path.suffix.removeprefix(".").lower() if path else ""
    choice: dict[str, Any] = {
        "format": form or (ending if ending in FORMATS else "csv"),
        "job": job_id,
        "labels": labels,
        "target": target,
        "failure": failure,
        "since": None if since is None else moment_of(since),
        "until": None if until is None else moment_of(until),
    }
    if path is None and choice["format"] == "parquet" and sys.stdout.isatty():
        raise ConfigError("Parquet is nothing for a terminal", hint="-o FILE writes it to a file")
    with Client() as client:
        if job_id:
            client.job(job_id)  # so that one that is not there is told
        if path is None:
            client.save_results(sys.stdout.buffer, **choice)
            return
        with output_file(path, replace=force) as file:
            size = client.save_results(file, **choice)
    note(f"{path}: {size / 1e6:.1f} MB written")

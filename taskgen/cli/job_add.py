"""``taskgen job add``"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from taskgen.backend import Backend
from taskgen.binaries import user_directories
from taskgen.checks import check_duration
from taskgen.cli.daemon_job import DaemonJob
from taskgen.cli.job_input import check_document
from taskgen.cli.job_watch import watched
from taskgen.cli.listing import print_json
from taskgen.cli.note import note
from taskgen.cli.options import json_option, label_option, quiet_option
from taskgen.cli.output_file import OutputPath
from taskgen.cli.taskset_input import load, set_option
from taskgen.cli.units import number
from taskgen.client import Client
from taskgen.client.address import Address
from taskgen.events.csv import CsvHandler
from taskgen.events.handler import EventHandler
from taskgen.resources import Job


@click.command()
@click.argument("taskset")
@set_option
@click.option("--name", default="", help="For people; default: the task-set's.")
@label_option("To find it by; may be given often.")
@click.option("--priority", type=int, default=0, help="Larger goes first (0).")
@click.option("--offset", type=click.IntRange(0), default=0, help="Begin at this variant.")
@click.option("--limit", type=click.IntRange(0), help="So many variants at most.")
@click.option("--repeat", type=click.IntRange(1), default=1, help="Run each variant so often.")
@click.option("--tries", type=click.IntRange(1), help="Attempts for a variant that fails.")
@click.option("--profile", help="The kind of target that it needs; default: what fits.")
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="Stop each run after so many seconds.",
)
@click.option("--binaries", metavar="DIR", help="Your own task binaries; they are uploaded.")
@click.option("--paused", is_flag=True, help="Begin nothing of it until job resume.")
@click.option("--wait", is_flag=True, help="Wait until it has ended.")
@click.option("--watch", is_flag=True, help="Watch it until it has ended, as job watch does.")
@click.option(
    "--events",
    type=OutputPath(default_is_stdout=False),
    metavar="FILE",
    help="Append every activation to this CSV file, and wait.",
)
@json_option
@quiet_option("its id")
def add(  # noqa: PLR0917 - click passes each option by its name
    taskset: str,
    changes: tuple[str, ...],
    name: str,
    labels: dict[str, str],
    priority: int,
    offset: int,
    limit: int | None,
    repeat: int,
    tries: int | None,
    profile: str | None,
    duration_s: float | None,
    binaries: str | None,
    paused: bool,
    wait: bool,
    watch: bool,
    events: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Add a job: all variants of a task-set.

    TASKSET is what taskgen run takes. It is loaded here, and sent to the daemon as a document.

    Exit status 0: it is added, and where it was waited for, every variant has a result; 1: one has
    none, or the daemon cannot; 2: bad input, nothing was added; 3: no daemon answers; 130:
    interrupted, the job goes on.
    """
    tasks = load(taskset, changes)
    check_document(tasks)
    tasks.validate()
    check_duration(tasks, duration_s)
    directories = user_directories(binaries)
    csv = CsvHandler(events) if events else None
    with Client() as client:
        job = client.add_job(
            tasks,
            name=name,
            labels=labels,
            priority=priority,
            offset=offset,
            limit=limit,
            repeat=repeat,
            tries=tries,
            profile=profile,
            duration_s=duration_s,
            binaries=client.ensure_binaries(tasks.binaries(), directories),
            paused=paused,
        )
    _tell(job, as_json, quiet)
    if csv:
        sys.exit(asyncio.run(_recorded(client.address, job.id, csv, silent=not watch)))
    if wait or watch:
        sys.exit(watched(job.id, silent=not watch))


def _tell(job: Job, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(job)
    elif quiet:
        click.echo(job.id)
    else:
        click.echo(f"job {job.id} {job.state}: {number(job.counts.total)} variants")
    # Whoever waits for us may want to know the id before we are through.
    sys.stdout.flush()


async def _recorded(address: Address, job_id: str, csv: CsvHandler, *, silent: bool) -> int:
    """Wait for the end of a job, and keep its activations."""

    async def begin(backend: Backend, handlers: Sequence[EventHandler]) -> str:
        for handler in handlers:
            await backend.add_handler(job_id, handler)
        return job_id

    end = await DaemonJob(address, begin, [csv], leave=True, silent=silent).execute()
    note(f"{csv.path}: {csv.rows} rows added")
    return end.told()

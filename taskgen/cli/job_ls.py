"""``taskgen job ls`` and ``show``"""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
from rich.text import Text

from taskgen.cli.listing import Column, print_facts, print_json, print_list, state
from taskgen.cli.options import job_argument, json_option, label_option, quiet_option
from taskgen.cli.status import counts_in_words
from taskgen.cli.units import age, duration, moment, number
from taskgen.client import Client
from taskgen.resources import Job

#: States of jobs, as the API has them.
STATES = ("queued", "running", "paused", "done", "cancelled", "failed")


def _labels(job: Job) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(job.labels.items()))


_COLUMNS: list[Column[Job]] = [
    Column("id", lambda j: j.id),
    Column("name", lambda j: j.name, rank=1),
    Column("state", lambda j: state(j.state)),
    Column("done", lambda j: f"{number(j.counts.done)} of {number(j.counts.total)}", right=True),
    Column("running", lambda j: number(j.counts.running), rank=3, right=True),
    Column("given up", lambda j: number(j.counts.bad), rank=2, right=True),
    Column("priority", lambda j: str(j.priority), rank=4, right=True),
    Column("labels", _labels, rank=5),
    Column("added", lambda j: f"{age(j.added_at)} ago", rank=3, right=True),
]


@click.command()
@click.option("--state", "wanted", type=click.Choice(STATES), help="Only those in this state.")
@label_option("Only those with this label; all of them, if given often.")
@json_option
@quiet_option("ids")
def ls(wanted: str | None, labels: dict[str, str], as_json: bool, quiet: bool) -> None:
    """List the jobs, oldest first."""
    with Client() as client:
        found = list(client.jobs(state=wanted, labels=labels))
    if as_json:
        print_json(found)
    elif quiet:
        for each in found:
            click.echo(each.id)
    else:
        print_list(found, _COLUMNS, empty="no such jobs" if wanted or labels else "no jobs")


@click.command()
@job_argument
@json_option
@click.option("--document", is_flag=True, help="The document of its task-set instead, as JSON.")
def show(job_id: str, as_json: bool, document: bool) -> None:
    """Show a job in full."""
    with Client() as client:
        if document:
            click.echo(json.dumps(client.document(job_id), indent=2, ensure_ascii=False))
            return
        found = client.job(job_id)
    if as_json:
        print_json(found)
    else:
        print_facts(_facts(found))


def _facts(job: Job) -> Iterator[tuple[str, str | Text]]:
    yield "id", job.id
    yield "name", job.name or "-"
    yield "state", state(job.state)
    if job.error:
        yield "", Text(job.error, style="red")
    yield "variants", number(job.counts.total)
    yield "runs", counts_in_words(job.counts)
    yield "failed attempts", number(job.counts.failed_attempts)
    yield "labels", _labels(job) or "-"
    yield "priority", str(job.priority)
    yield "profile", job.profile or "any"
    yield "tries", number(job.tries)
    if job.repeat != 1:
        yield "repeats", f"{number(job.repeat)} of each variant"
    if job.offset:
        yield "begins at", f"variant {number(job.offset)}"
    if job.session.duration_s is not None:
        yield "duration", f"{duration(job.session.duration_s)} for each run"
    for name, sha256 in sorted(job.binaries.items()):
        yield "binary", f"{name} {sha256[:12]}"
    yield "added", moment(job.added_at)
    if job.ended_at is not None:
        yield "ended", f"{moment(job.ended_at)}, after {duration(job.ended_at - job.added_at)}"

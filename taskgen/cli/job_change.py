"""``taskgen job cancel``, ``pause``, ``resume``, ``retry-bad`` and ``rm``"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import click

from taskgen.cli.note import note
from taskgen.cli.options import jobs_argument
from taskgen.client import Client
from taskgen.errors import DaemonUnreachableError, TaskgenError


@click.command()
@jobs_argument
def cancel(job_ids: tuple[str, ...]) -> None:
    """Stop jobs, and give up the rest of them. Results that there are stay."""
    _each(job_ids, lambda client, job_id: client.cancel_job(job_id), "cancelled")


@click.command()
@jobs_argument
def pause(job_ids: tuple[str, ...]) -> None:
    """Begin no more runs of jobs until resume; what runs is finished."""
    _each(job_ids, lambda client, job_id: client.pause_job(job_id), "paused")


@click.command()
@jobs_argument
def resume(job_ids: tuple[str, ...]) -> None:
    """Go on with jobs that were paused."""
    _each(job_ids, lambda client, job_id: client.resume_job(job_id), "resumed")


@click.command("retry-bad")
@jobs_argument
def retry_bad(job_ids: tuple[str, ...]) -> None:
    """Run again what jobs have given up."""
    _each(job_ids, lambda client, job_id: client.retry_bad(job_id), "tries again")


@click.command()
@jobs_argument
def rm(job_ids: tuple[str, ...]) -> None:
    """Forget jobs that have ended, and their results."""
    _each(job_ids, lambda client, job_id: client.delete_job(job_id), "forgotten")


def _each(job_ids: Sequence[str], act: Callable[[Client, str], object], done: str) -> None:
    """One that cannot be changed does not keep the others from it."""
    failed = False
    with Client() as client:
        for job_id in job_ids:
            try:
                act(client, job_id)
            except DaemonUnreachableError:
                raise
            except TaskgenError as error:
                note(str(error))
                failed = True
            else:
                click.echo(f"{job_id} {done}")
    sys.exit(failed)

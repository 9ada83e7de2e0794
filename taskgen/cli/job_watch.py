"""``taskgen job watch``"""

from __future__ import annotations

import asyncio
import sys

import click

from taskgen.cli.console import logged_to, messages
from taskgen.cli.end import INTERRUPTED
from taskgen.cli.note import note
from taskgen.cli.options import job_argument
from taskgen.cli.progress import shown
from taskgen.cli.watching import JobWatch
from taskgen.client import AsyncClient


@click.command()
@job_argument
def watch(job_id: str) -> None:
    """Watch a job until it ends. Ctrl-C leaves it running.

    Exit status 0: every variant has a result; 1: one has none, or there is no such job; 3: no
    daemon answers; 130: interrupted, the job goes on.
    """
    sys.exit(watched(job_id))


def watched(job_id: str, *, silent: bool = False) -> int:
    """Wait for the end of a job; returns the exit status.

    :param silent: show nothing meanwhile.
    """
    try:
        return asyncio.run(_watch(job_id, silent))
    except KeyboardInterrupt:
        note(f"job {job_id} goes on (taskgen job watch {job_id}, or taskgen job cancel {job_id})")
        return INTERRUPTED


async def _watch(job_id: str, silent: bool) -> int:
    async with AsyncClient() as client:
        watch = JobWatch(client, await client.job(job_id))
        if silent:
            await watch.until_ended()
        else:
            console = messages()
            with logged_to(console):
                async with shown(console, watch.counts, watch.fleet_in_words):
                    await watch.until_ended()
        end = await watch.end()
    if watch.job.state == "cancelled":
        note(f"job {job_id} was cancelled")
    return end.told()

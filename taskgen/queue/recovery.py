"""What a database says is still to be done, when it is opened."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from taskgen.errors import TaskgenError
from taskgen.queue.database import Batch, Database
from taskgen.queue.rows import Row, outcome_of, settings_of
from taskgen.queue.source import Source, source_of
from taskgen.queue.values import JobSpec, JobState
from taskgen.queue.work import Claim, Work
from taskgen.taskset import TaskSet

log = logging.getLogger(__name__)


def load(path: Path | None) -> tuple[Database, list[Work], int]:
    """Open the database and take up all jobs that have not ended. Blocks.

    Runs that were handed out and have no result wait for a target again, as the same attempt.

    :returns: the database, the jobs, and the number of the last job that was ever added.
    :raises QueueError: if the database cannot be used.
    """
    database = Database(path)
    try:
        database.write(Batch(statements=[("nothing_runs", ())]))
        works = [_taken_up(database, row) for row in database.read("open_jobs")]
        (last,) = database.read("last_number")[0].values()
    except BaseException:
        database.close()
        raise
    return database, works, last


def work_of(row: Row) -> Work:
    """A job from its row, without its claims. One that cannot go on has failed, and says why."""
    state, error = JobState(row["state"]), row["error"]
    spec = JobSpec(
        taskset=TaskSet(),
        name=row["name"],
        labels=json.loads(row["labels"]),
        priority=row["priority"],
        offset=row["first"],
        limit=row["total"],
        repeat=row["repeat"],
        tries=row["tries"],
        profile=row["profile"],
        settings=settings_of(row["settings"]),
        provenance=json.loads(row["provenance"]),
        binaries=json.loads(row["binaries"]),
    )
    source: Source | None = None
    if row["document"] is None:
        trouble = "no document holds its task-set, which ended with the process that had it"
    else:
        try:
            source = source_again(row)
            trouble = ""
        except TaskgenError as failure:
            trouble = f"its task-set cannot be made any more: {failure}"
    if trouble and row["ended_at"] is None and state is not JobState.CANCELLED:
        state, error = JobState.FAILED, trouble
        log.warning("job %s cannot be resumed: %s", row["id"], trouble)
    return Work(
        number=row["number"],
        id=row["id"],
        spec=spec,
        resumable=row["document"] is not None,
        source=source,
        state=state,
        cursor=row["cursor"],
        total=row["total"],
        done=row["done"],
        bad=row["bad"],
        failed_attempts=row["failed_attempts"],
        error=error,
        ended_at=row["ended_at"],
    )


def _taken_up(database: Database, row: Row) -> Work:
    work = work_of(row)
    for claim in database.read("claims_of", (work.number,)):
        key = (work.number, claim["position"], claim["counts_from"])
        failures = [outcome_of(each) for each in database.read("failures_of", key)]
        work.waiting.append(
            Claim(
                work, claim["position"], claim["attempt"], claim["counts_from"], failures=failures
            )
        )
    return work


def source_again(row: Row) -> Source:
    """The variants of a job from its row, which has a document.

    :raises TaskgenError: if the task-set cannot be made any more.
    """
    taskset = TaskSet.from_document(json.loads(row["document"]), f"job {row['id']}")
    spec = JobSpec(taskset, offset=row["first"], limit=row["total"], repeat=row["repeat"])
    return source_of(spec)

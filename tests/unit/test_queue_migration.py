"""A queue of an older Taskgen goes on: nothing that was kept is lost, nothing is run twice."""

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest
from queue_tools import TARGET, ask, ended, sweep, work_off

from taskgen.interfaces import FailureClass
from taskgen.queue import JobQueue, JobSpec, JobState, RunState
from taskgen.queue.sql import migrations

JOB = {
    "number": 3,
    "id": "old-job",
    "name": "old",
    "labels": '{"who": "me"}',
    "priority": 2,
    "settings": '{"margin": 2.0}',
    "tries": 1,
    "document": json.dumps(sweep(4).to_document()),
    "provenance": '{"seed": 7}',
    "repeat": 1,
    "first": 0,
    "total": 4,
    "state": "running",
    "cursor": 3,
    "done": 1,
    "bad": 1,
    "failed_attempts": 2,
    "added_at": 1000.0,
}
ATTEMPT = {
    "job": 3,
    "attempt": 1,
    "target": "board-7",
    "reason": "",
    "started_at": 1001.5,
    "duration_s": 0.25,
    "activations": "[]",
    "provenance": '{"accelerator": "tcg"}',
}


def insert(connection, table, **values):
    marks = ", ".join("?" * len(values))
    connection.execute(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values())
    )


@pytest.fixture
def version_1(tmp_path):
    """A database as version 1 left it: one result, one bad variant, one that waits, one to come."""
    path = tmp_path / "queue.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA auto_vacuum = INCREMENTAL; {migrations()[0]}")
        insert(connection, "jobs", **JOB)
        insert(connection, "attempts", **ATTEMPT, id=11, position=0, variant=0)
        bad = {**ATTEMPT, "failure": "task", "events": "[]", "console": "oops"}
        insert(connection, "attempts", **bad, id=12, position=1, variant=1)
        guest = {**bad, "failure": "guest"}
        insert(connection, "attempts", **guest, id=13, position=2, variant=2)
        insert(connection, "bad", job=3, position=1, attempt=1)
        insert(connection, "claims", job=3, position=2, attempt=2, counts_from=1)
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    return path


def test_a_queue_of_version_1_goes_on(version_1):
    async def main():
        async with JobQueue.open(version_1) as queue:
            info = await queue.job("old-job")
            assert (info.labels, info.binaries, info.settings.margin) == ({"who": "me"}, {}, 2.0)
            assert (info.counts.done, info.counts.bad, info.counts.queued) == (1, 1, 2)
            assert await work_off(queue) == [2, 3]
            assert (await queue.wait_job("old-job")).state is JobState.DONE
            kept, last = await queue.attempts_feed()
            assert [each.sequence for each in kept] == [11, 12, 13, 14, 15]
            assert [each.sequence for each in kept if each.bad] == [12]
            assert last == 15
            states = [(run.attempt, run.state) for run in await queue.runs("old-job")]
            done = RunState.DONE
            assert states == [(1, done), (1, RunState.BAD), (2, done), (1, done)]
            assert await queue.retry_bad("old-job") == 1
            assert await work_off(queue) == [1]

    asyncio.run(main())
    assert ask(version_1, "PRAGMA user_version") == [(len(migrations()),)]
    assert ask(version_1, "PRAGMA foreign_key_check") == []
    assert ask(version_1, "PRAGMA integrity_check") == [("ok",)]


def test_new_jobs_live_beside_the_old_ones(version_1):
    async def main():
        async with JobQueue.open(version_1) as queue:
            await queue.cancel("old-job")
            new = await queue.add(JobSpec(sweep(1), tries=1, binaries={"hey": "ab" * 32}))
            assert (await queue.job(new)).number == 4
            run = await queue.claim(TARGET)
            assert run.binaries == {"hey": "ab" * 32}
            await queue.settle(ended(run, FailureClass.TASK))
            (attempt,), _ = await queue.attempts_feed(job=new)
            assert (attempt.sequence, attempt.bad) == (14, True)
            await queue.delete("old-job")
            assert [job.id for job in await queue.jobs()] == [new]

    asyncio.run(main())


def test_a_migration_that_is_cut_short_leaves_version_1(version_1, monkeypatch):
    first, second, *_ = migrations()
    broken = f"{second}\nnonsense;"
    monkeypatch.setattr("taskgen.queue.database.migrations", lambda: [first, broken])

    async def main():
        with pytest.raises(Exception, match="syntax error"):
            async with JobQueue.open(version_1):
                pass

    asyncio.run(main())
    assert ask(version_1, "PRAGMA user_version") == [(1,)]
    monkeypatch.undo()
    test_a_queue_of_version_1_goes_on(version_1)

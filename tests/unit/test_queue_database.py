"""The queue's file: not shared, not taken for another; a full disk can be mended."""

import asyncio
import re
import sqlite3
import subprocess
import sys

import pytest
from queue_tools import TARGET, ask, ended, sweep, work_off
from values import activation

from taskgen.errors import QueueError
from taskgen.queue import JobQueue, JobSpec
from taskgen.queue.database import ROWS_AT_ONCE, Batch, Database
from taskgen.queue.sql import for_rows, migrations, statements


def opened(path):
    async def main():
        async with JobQueue.open(path):
            pass

    asyncio.run(main())


def test_two_engines_do_not_share_a_queue(tmp_path):
    program = "import sys; from pathlib import Path; from taskgen.queue.database import Database\n"
    program += "Database(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, str(tmp_path / "queue")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(QueueError, match="in use by another engine"):
            opened(tmp_path / "queue")
        other.stdin.close()
        assert other.wait(60) == 0
    opened(tmp_path / "queue")


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(QueueError, match="nowhere/queue: cannot be opened"):
        opened(tmp_path / "nowhere" / "queue")
    (tmp_path / "text").write_text("no database" * 100)
    with pytest.raises(QueueError, match="text: cannot be opened: file is not a database"):
        opened(tmp_path / "text")
    opened(tmp_path / "queue")  # and what failed has left no lock


def test_a_database_of_somebody_else_is_left_alone(tmp_path):
    ask(tmp_path / "other", "CREATE TABLE theirs (a)")
    with pytest.raises(QueueError, match="somebody else's"):
        opened(tmp_path / "other")
    assert ask(tmp_path / "other", "SELECT name FROM sqlite_schema") == [("theirs",)]


def test_a_database_of_a_newer_taskgen_is_refused(tmp_path):
    opened(tmp_path / "queue")
    assert ask(tmp_path / "queue", "PRAGMA user_version") == [(len(migrations()),)]
    ask(tmp_path / "queue", "PRAGMA user_version = 99")
    with pytest.raises(QueueError, match=r"version 99.*newer Taskgen"):
        opened(tmp_path / "queue")


def test_every_migration_is_applied_once_or_not_at_all(tmp_path, monkeypatch):
    opened(tmp_path / "queue")
    ours = migrations()
    monkeypatch.setattr("taskgen.queue.database.migrations", lambda: [*ours, "CREATE TABLE a (b)"])
    with pytest.raises(QueueError, match="syntax error"):
        opened(tmp_path / "queue")
    next_one = "CREATE TABLE a (b);"
    monkeypatch.setattr("taskgen.queue.database.migrations", lambda: [*ours, next_one])
    for _ in range(2):
        opened(tmp_path / "queue")
    assert ask(tmp_path / "queue", "PRAGMA user_version") == [(len(ours) + 1,)]
    monkeypatch.setattr(
        "taskgen.queue.database.migrations",
        lambda: [*ours, next_one, "CREATE TABLE c (d); nonsense;"],
    )
    with pytest.raises(QueueError, match="syntax error"):
        opened(tmp_path / "queue")
    assert ask(tmp_path / "queue", "SELECT count(*) FROM sqlite_schema WHERE name = 'c'") == [(0,)]
    assert ask(tmp_path / "queue", "PRAGMA user_version") == [(len(ours) + 1,)]


def test_every_statement_is_valid(tmp_path):
    database = Database(tmp_path / "queue")
    database.close()
    with sqlite3.connect(tmp_path / "queue") as connection:
        for sql in statements().values():
            if not sql.startswith("PRAGMA"):
                number = sql.count("?")
                names = set(re.findall(r":(\w+)", sql))
                values = dict.fromkeys(names, 1) if names else (1,) * number
                connection.execute(f"EXPLAIN {sql}", values)
    connection.close()
    assert for_rows("set_aside", 3).endswith("VALUES (?, ?, ?), (?, ?, ?), (?, ?, ?)")


def test_a_commit_is_on_the_disk_when_it_is_acknowledged(tmp_path):
    database = Database(tmp_path / "queue")
    try:
        (mode,) = database._connection.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = database._connection.execute("PRAGMA synchronous").fetchone()
    finally:
        database.close()
    assert (mode, synchronous) == ("wal", 2)  # 2: FULL


@pytest.mark.parametrize("number", [1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, 3 * ROWS_AT_ONCE + 5])
def test_any_number_of_rows_is_written(tmp_path, number):
    database = Database(tmp_path / "queue")
    try:
        database._connection.execute("PRAGMA foreign_keys = OFF")
        database.write(Batch(bad=[(1, position, 1) for position in range(number)]))
        database.write(Batch(forgiven={(1, position) for position in range(0, number, 2)}))
    finally:
        database.close()
    left = ask(tmp_path / "queue", "SELECT position FROM bad ORDER BY position")
    assert left == [(position,) for position in range(1, number, 2)]


class Full:
    """A database whose disk is full for a while."""

    def __init__(self, database, refusals):
        self.database, self.refusals = database, refusals
        self.path = database.path

    def __getattr__(self, name):
        return getattr(self.database, name)

    def write(self, batch):
        if self.refusals:
            self.refusals -= 1
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        self.database.write(batch)


def test_a_full_disk_is_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("taskgen.queue.committer.RETRY_S", 0.001)

    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            await queue.add(JobSpec(sweep(3)))
            queue._committer._database = Full(queue._committer._database, 5)
            assert await work_off(queue) == [0, 1, 2]

    asyncio.run(main())
    assert caplog.text.count("disk is full; trying again") == 1


def test_a_disk_that_stays_full_ends_the_queue_and_loses_nothing_that_was_acknowledged(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("taskgen.queue.committer.RETRY_S", 0.001)
    monkeypatch.setattr("taskgen.queue.committer.PATIENCE_S", 0.01)

    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            await queue.add(JobSpec(sweep(3)))
            await queue.settle(ended(await queue.claim(TARGET)))
            full = Full(queue._committer._database, 10**9)
            queue._committer._database = full
            run = await queue.claim(TARGET)
            with pytest.raises(QueueError, match="disk is full"):
                await queue.settle(ended(run))
            assert queue.counts.done == 1
        async with JobQueue.open(tmp_path / "queue") as queue:
            assert await work_off(queue) == [1, 2]

    asyncio.run(main())


def test_a_full_disk_is_waited_for_without_end_if_somebody_is_told_and_nothing_new_is_begun(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("taskgen.queue.committer.RETRY_S", 0.001)
    monkeypatch.setattr("taskgen.queue.committer.PATIENCE_S", 0.0)
    told = []

    async def main():
        stalled = asyncio.Event()

        def tell(reason):
            told.append(reason)
            stalled.set()

        async with JobQueue.open(tmp_path / "queue", on_stall=tell) as queue:
            job = await queue.add(JobSpec(sweep(3)))
            run = await queue.claim(TARGET)
            full = queue._committer._database = Full(queue._committer._database, 10**9)
            settled = queue.settle(ended(run))
            await stalled.wait()
            assert await queue.claim(TARGET) is None
            assert queue.backlog_for(TARGET.profile) == 1
            for refused in (queue.add(JobSpec(sweep(1))), queue.cancel(job), queue.pause(job)):
                with pytest.raises(QueueError, match=r"nothing can be kept now: .* disk is full"):
                    await refused
            assert (await queue.job(job)).counts.done == 0
            changed = queue.changed()
            full.refusals = 0
            await settled
            await changed
            assert queue.backlog_for(TARGET.profile) == 2
            assert await work_off(queue) == [1, 2]
            assert [entry.outcome.failure async for entry in queue.results(job)] == [None] * 3

    asyncio.run(main())
    assert [text and text.partition(": ")[2] for text in told] == ["database or disk is full", None]


def test_a_queue_can_be_closed_while_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr("taskgen.queue.committer.RETRY_S", 0.001)

    async def full():
        told = asyncio.Event()
        async with JobQueue.open(tmp_path / "queue", on_stall=lambda _: told.set()) as queue:
            await queue.add(JobSpec(sweep(3)))
            run = await queue.claim(TARGET)
            queue._committer._database = Full(queue._committer._database, 10**9)
            settled = queue.settle(ended(run))
            await told.wait()
            queue.lose_patience()
            await settled

    async def main():
        with pytest.raises(QueueError, match="disk is full"):
            await full()
        async with JobQueue.open(tmp_path / "queue") as queue:
            assert await work_off(queue) == [0, 1, 2]

    asyncio.run(main())


def test_a_paused_queue_hands_nothing_out_and_wants_no_targets(tmp_path):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            await queue.add(JobSpec(sweep(3)))
            run = await queue.claim(TARGET)
            queue.paused = True
            assert await queue.claim(TARGET) is None
            assert queue.backlog_for(TARGET.profile) == 1  # what is on a target goes on
            await queue.settle(ended(run))
            assert (queue.backlog_for(TARGET.profile), queue.backlog) == (0, 2)
            changed = queue.changed()
            queue.paused = False
            await changed
            assert await work_off(queue) == [1, 2]

    asyncio.run(main())


def test_activations_can_be_asked_for_in_sql(tmp_path):
    async def main():
        async with JobQueue.open(tmp_path / "queue") as queue:
            await queue.add(JobSpec(sweep(2)), job_id="job")
            while run := await queue.claim(TARGET):
                await queue.settle(ended(run, activations=(activation(), activation(number=2))))

    asyncio.run(main())
    rows = ask(tmp_path / "queue", "SELECT run, variant, task_id, number, exit FROM activations")
    assert rows == [
        ("job-0-1", 0, 1, 1, "EXIT"),
        ("job-0-1", 0, 1, 2, "EXIT"),
        ("job-1-1", 1, 1, 1, "EXIT"),
        ("job-1-1", 1, 1, 2, "EXIT"),
    ]

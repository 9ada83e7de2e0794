"""Kills an engine again and again while it works off a job, and looks at what is left."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from taskgen.protocol import Start
from taskgen.queue import JobQueue, JobSpec, JobState
from taskgen.taskset import TaskSet
from taskgen.testing import FakeTaskloader

ENGINE = Path(__file__).with_name("killed_engine.py")
TARGETS = 4

#: How long a life may last after it has opened the queue, s. Lives that are killed before that are
#: every fifth.
LONGEST_LIFE_S = 0.3


@dataclass
class Story:
    """What happened.

    :ivar kills: lives that were ended by ``SIGKILL`` while the job was not through.
    :ivar starts: runs that the targets were told to start.
    :ivar acknowledged: ids of the runs that handlers were told the results of.
    """

    kills: int
    starts: int
    acknowledged: list[str]


async def kill_again_and_again(directory, *, runs, kills, seed):
    """Work off a job of ``runs`` runs, dying ``kills`` times on the way; check the results."""
    source = random.Random(seed)
    queue_path, acknowledged = directory / "queue.db", directory / "acknowledged"
    binaries = directory / "binaries"
    binaries.mkdir()
    (binaries / "hey").write_bytes(b"\x7fELF\2\1" + b"\0" * 10 + b"\2\0\x3e\0" + b"\0" * 44)
    acknowledged.touch()
    # Long enough that the job outlives its killers: they leave it some 0.15 s each.
    period_ms = max(10, round(kills * LONGEST_LIFE_S * 1000 * TARGETS / runs))
    # So many variants; what they differ in does not matter.
    taskset = TaskSet([{"pkg": "hey", "period": period_ms, "priority": [1, 2, 3]}])
    async with JobQueue.open(queue_path) as queue:
        job_id = await queue.add(JobSpec(taskset, repeat=-(-runs // 3), limit=runs))
    story = Story(0, 0, [])
    async with AsyncExitStack() as stack:
        fakes = [await stack.enter_async_context(FakeTaskloader()) for _ in range(TARGETS)]
        command = [str(ENGINE), *map(str, (queue_path, binaries, acknowledged))]
        command += [str(fake.port) for fake in fakes]
        for number in range(kills):
            early = number % 5 == 4
            await _one_life(command, early, source.uniform(0, LONGEST_LIFE_S))
            story.kills += 1
        engine = await asyncio.create_subprocess_exec(sys.executable, *command)
        assert await asyncio.wait_for(engine.wait(), 300) == 0
        story.starts = sum(isinstance(m, Start) for fake in fakes for m in fake.received)
    story.acknowledged = acknowledged.read_text("ascii").split()
    await _check(queue_path, job_id, runs, story)
    return story


async def _one_life(command, early, life_s):
    """Start an engine and kill it, before or after it has opened the queue."""
    engine = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE
    )
    assert engine.stdout is not None
    try:
        if not early:
            assert await asyncio.wait_for(engine.stdout.readline(), 120) == b"open\n"
        await asyncio.sleep(life_s)
    finally:
        if engine.returncode is None:
            engine.kill()
        status = await engine.wait()
    assert status == -9, f"the engine ended before it was killed: {status}"


async def _check(queue_path, job_id, runs, story):
    with closing(sqlite3.connect(queue_path)) as connection:

        def ask(sql):
            return connection.execute(sql).fetchall()

        assert ask("PRAGMA integrity_check") == [("ok",)]
        assert ask("SELECT count(*), count(DISTINCT position) FROM attempts") == [(runs, runs)]
        assert ask("SELECT count(*) FROM attempts WHERE failure IS NOT NULL") == [(0,)]
        assert ask("SELECT count(*) FROM activations") == [(runs,)]
        assert ask("SELECT count(*) FROM claims") == [(0,)]
    async with JobQueue.open(queue_path) as queue:
        info = await queue.job(job_id)
        assert (info.state, info.counts.done) == (JobState.DONE, runs)
        kept = [each.run_id async for each in queue.results(job_id)]
    assert len(set(kept)) == runs
    assert len(set(story.acknowledged)) == len(story.acknowledged)
    assert set(story.acknowledged) <= set(kept)
    assert story.starts >= runs

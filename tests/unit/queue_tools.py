"""What the tests of the queue share."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace

import pytest
from values import outcome

from taskgen.queue import JobQueue
from taskgen.taskset import TaskSet


@dataclass(frozen=True)
class FakeTarget:
    """As much of a target as a queue looks at."""

    name: str = "taskgen-1"
    profile: str = "linux-x86_64"
    usable: bool = True

    async def execute(self, run, emit):
        raise AssertionError("the queue executes nothing")


TARGET = FakeTarget()


def sweep(variants=3, **keys):
    """A task-set with so many variants."""
    return TaskSet([{"pkg": "hey", "period": range(10, 10 + variants), **keys}])


def ended(run, failure=None, **keys):
    """The run with an outcome."""
    return replace(run, outcome=outcome(failure, **keys))


def as_after_a_crash(path, copy):
    """What is on the disk at this moment, in another file; the queue goes on and knows nothing."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def ask(path, sql, *parameters):
    """All rows of a query on the database of a queue that is closed, or open."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, parameters).fetchall()


async def work_off(queue, target=TARGET):
    """Give each run that there is for a target a result; returns their positions in order."""
    positions = []
    while run := await queue.claim(target):
        await queue.settle(ended(run))
        positions.append(run.variant.index)
    return positions


@pytest.fixture(params=["file", "temporary"])
def path(request, tmp_path):
    """Where a queue is kept; ``None``: nowhere for long."""
    return tmp_path / "queue.db" if request.param == "file" else None


def with_queue(path, work, **keys):
    """What ``work`` makes of a queue, in a loop of its own."""

    async def main():
        async with JobQueue.open(path, **keys) as queue:
            return await asyncio.wait_for(work(queue), 60)

    return asyncio.run(main())


async def everything(queue, after=0, **keys):
    """All attempts behind a number, and where that ends."""
    found = []
    while True:
        page, reached = await queue.attempts_feed(after, **keys)
        found += page
        if reached == after:
            return found, after
        after = reached

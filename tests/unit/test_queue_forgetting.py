"""What has ended is deleted, when asked for or as the settings say, and gives its space back."""

import asyncio
import json
import sqlite3
from itertools import pairwise

import pytest
from queue_tools import (
    TARGET,
    as_after_a_crash,
    ask,
    ended,
    everything,
    path,
    sweep,
    with_queue,
    work_off,
)
from values import activation

from taskgen.errors import StateError, UnknownJobError
from taskgen.interfaces import FailureClass
from taskgen.queue import JobSpec, JobState
from taskgen.run_settings import ResultSettings

__all__ = ["path"]


def test_only_what_has_ended_can_be_deleted(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(2)))
        with pytest.raises(StateError, match="queued, 0 of its runs"):
            await queue.delete(job_id)
        run = await queue.claim(TARGET)
        await queue.cancel(job_id)
        with pytest.raises(StateError, match="cancelled, 1 of its runs"):
            await queue.delete(job_id)
        await queue.settle(ended(run))
        await queue.wait_job(job_id)
        await queue.delete(job_id)
        for gone in (
            queue.delete(job_id),
            queue.job(job_id),
            queue.cancel(job_id),
            queue.pause(job_id),
            queue.retry_bad(job_id),
            queue.attempts_at(job_id, 0),
        ):
            with pytest.raises(UnknownJobError):
                await gone
        assert (await queue.jobs(), await queue.attempts_feed()) == ([], ([], 1))
        assert queue.counts.done == 0
        await queue.add(JobSpec(sweep(1)), job_id=job_id)
        assert await work_off(queue) == [0]
        assert len((await queue.attempts_feed())[0]) == 1

    with_queue(path, work)


def test_what_is_tried_again_is_not_deleted_meanwhile(path):
    async def work(queue):
        for _ in range(10):
            job_id = await queue.add(JobSpec(sweep(3), tries=1))
            while run := await queue.claim(TARGET):
                await queue.settle(ended(run, FailureClass.TASK))
            await queue.wait_job(job_id)
            retried, deleted = await asyncio.gather(
                queue.retry_bad(job_id), queue.delete(job_id), return_exceptions=True
            )
            assert retried == 3
            assert isinstance(deleted, StateError)
            assert await work_off(queue) == [0, 1, 2]
            await queue.wait_job(job_id)
            deleted, retried = await asyncio.gather(
                queue.delete(job_id), queue.retry_bad(job_id), return_exceptions=True
            )
            assert deleted is None
            assert isinstance(retried, UnknownJobError)

    with_queue(path, work)


def test_the_rows_of_a_deleted_job_go_little_by_little(tmp_path, monkeypatch):
    """Others are served meanwhile, and space is given back in the end."""
    monkeypatch.setattr("taskgen.queue.forgetting.ROWS", 10)
    monkeypatch.setattr("taskgen.queue.database.PAGES_AT_ONCE", 16)
    path = tmp_path / "queue"

    async def work(queue):
        old = await queue.add(JobSpec(sweep(300), tries=1))
        many = (activation(),) * 50
        while run := await queue.claim(TARGET):
            failure = FailureClass.TASK if run.variant.index % 10 == 0 else None
            queue.settle(ended(run, failure, activations=many))
        await queue.wait_job(old)
        await queue._committer.flush()
        (full,) = ask(path, "PRAGMA page_count")[0]
        steps = []
        original = queue._committer._database.sweep

        def sweeping(rows):
            steps.append(ask(path, "SELECT count(*) FROM attempts")[0][0])
            return original(rows)

        monkeypatch.setattr(queue._committer._database, "sweep", sweeping)
        await queue.delete(old)
        young = await queue.add(JobSpec(sweep(5)))
        assert await work_off(queue) == [0, 1, 2, 3, 4]
        assert await queue.prune(0.0) == 0
        await queue.swept()
        assert all(one - other <= 10 for one, other in pairwise(steps))
        assert len(steps) > 30
        return young, full

    young, full = with_queue(path, work)
    assert ask(path, "SELECT count(*), count(DISTINCT job) FROM attempts") == [(5, 1)]
    assert ask(path, "SELECT id FROM jobs") == [(young,)]
    for table in ("bad", "claims", "forgotten"):
        assert ask(path, f"SELECT count(*) FROM {table}") == [(0,)]
    assert ask(path, "PRAGMA page_count")[0][0] < full / 4
    assert ask(path, "PRAGMA freelist_count") == [(0,)]
    assert ask(path, "PRAGMA foreign_key_check") == []


def test_a_crash_amid_a_deletion_undoes_nothing_of_it(tmp_path, monkeypatch):
    path, copy = tmp_path / "queue", tmp_path / "copy"
    monkeypatch.setattr("taskgen.queue.forgetting.ROWS", 1)

    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(20)))
        await work_off(queue)
        await queue.wait_job(job_id)
        await queue.delete(job_id)
        as_after_a_crash(path, copy)

    with_queue(path, work)
    assert ask(copy, "SELECT count(*) FROM forgotten") == [(1,)]

    async def again(queue):
        assert (await queue.jobs(), (await everything(queue))[0]) == ([], [])
        await queue.swept()

    with_queue(copy, again)
    assert ask(copy, "SELECT count(*) FROM attempts UNION ALL SELECT count(*) FROM forgotten") == [
        (0,),
        (0,),
    ]


def test_the_settings_say_what_is_forgotten(path):
    now = 0.0

    async def work(queue):
        nonlocal now
        for day in range(4):
            now = day * 86_400.0
            job_id = await queue.add(JobSpec(sweep(1), name=str(day)))
            await work_off(queue)
            await queue.wait_job(job_id)
        open_one = await queue.add(JobSpec(sweep(1), name="open"))
        now += 3600
        before = queue.transactions
        assert await queue.prune_by(ResultSettings()) == 0
        assert queue.transactions == before
        assert await queue.prune_by(ResultSettings(days=1.5)) == 2
        assert [job.name for job in await queue.jobs()] == ["2", "3", "open"]
        assert await queue.prune_by(ResultSettings(days=1.5)) == 0
        await queue.cancel(open_one)
        assert await queue.prune_by(ResultSettings(days=0.01)) == 2
        assert (await queue.jobs())[0].state is JobState.CANCELLED

    with_queue(path, work, clock=lambda: now)


def names(jobs):
    return [job.name for job in jobs]


def test_the_settings_say_how_many_runs_are_kept(path):
    """Whole jobs go, in the order in which they ended; open ones stay, but their runs count."""
    now = 0.0

    async def work(queue):
        nonlocal now
        late = await queue.add(JobSpec(sweep(2), name="late", priority=-1))
        for name in ("a", "b", "c"):
            now += 1
            job_id = await queue.add(JobSpec(sweep(10), name=name, tries=1))
            for _ in range(10):
                run = await queue.claim(TARGET)
                failure = FailureClass.TASK if run.variant.index == 0 else None
                await queue.settle(ended(run, failure))
            await queue.wait_job(job_id)
        now += 1
        await work_off(queue)
        await queue.wait_job(late)
        open_one = await queue.add(JobSpec(sweep(5), name="open"))
        await queue.settle(ended(await queue.claim(TARGET)))
        now += 1
        before = [each.variant for each in (await everything(queue))[0]]
        assert await queue.prune_by(ResultSettings(runs=len(before))) == 0
        assert await queue.prune_by(ResultSettings(runs=len(before) - 1)) == 1
        assert names(await queue.jobs()) == ["late", "b", "c", "open"]
        assert await queue.prune_by(ResultSettings(runs=14)) == 1
        assert names(await queue.jobs()) == ["late", "c", "open"]
        assert await queue.prune_by(ResultSettings(runs=3)) == 1
        assert names(await queue.jobs()) == ["late", "open"]
        assert len((await everything(queue))[0]) == 3
        assert await queue.prune_by(ResultSettings(runs=2)) == 1
        assert names(await queue.jobs()) == ["open"]
        assert await queue.prune_by(ResultSettings(runs=1)) == 0
        await work_off(queue)
        await queue.wait_job(open_one)
        assert await queue.prune_by(ResultSettings(runs=4)) == 1

    with_queue(path, work, clock=lambda: now)


def test_the_settings_say_how_large_the_database_may_be(tmp_path):
    """No job goes that need not; not even if all of them together are still too large."""
    path = tmp_path / "queue"
    many = (activation(),) * 50

    async def filled(queue, name):
        job_id = await queue.add(JobSpec(sweep(100), name=name))
        while run := await queue.claim(TARGET):
            await queue.settle(ended(run, activations=many))
        await queue.wait_job(job_id)

    async def work(queue):
        await filled(queue, "a")
        one = await queue._size()
        for name in "bcd":
            await filled(queue, name)
        now = await queue._size()
        assert now > 3 * one
        assert await queue.prune_by(ResultSettings(megabytes=now / 1e6)) == 0
        assert await queue.prune_by(ResultSettings(megabytes=2.5 * one / 1e6)) == 2
        assert names(await queue.jobs()) == ["c", "d"]
        open_one = await queue.add(JobSpec(sweep(1), name="open"))
        assert await queue.prune_by(ResultSettings(megabytes=1e-6)) == 2
        assert names(await queue.jobs()) == ["open"]
        assert (await queue.job(open_one)).state is JobState.QUEUED
        return one

    one = with_queue(path, work)
    assert path.stat().st_size < one


def test_no_more_is_forgotten_while_its_space_cannot_be_given_back(tmp_path, monkeypatch):
    """Else a disk that is full would cost all that there is."""
    many = (activation(),) * 50

    async def work(queue):
        for name in "abc":
            await queue.add(JobSpec(sweep(50), name=name))
            while run := await queue.claim(TARGET):
                await queue.settle(ended(run, activations=many))
        await queue._committer.flush()

        def full(rows):
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(queue._committer._database, "sweep", full)
        assert await queue.prune_by(ResultSettings(megabytes=1e-6)) == 0
        monkeypatch.undo()
        assert names(await queue.jobs()) == ["a", "b", "c"]
        assert await queue.prune_by(ResultSettings(megabytes=1e-6)) == 3

    with_queue(tmp_path / "queue", work)


def test_a_number_is_not_taken_twice_whoever_writes(tmp_path):
    async def work(queue):
        await queue.add(JobSpec(sweep(1)))
        await work_off(queue)

    with_queue(tmp_path / "queue", work)
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        ask(
            tmp_path / "queue",
            "INSERT INTO jobs (id, name, labels, priority, settings, tries, provenance, repeat,"
            " first, state, cursor, added_at) SELECT id, ?, labels, priority, settings, tries,"
            " provenance, repeat, first, state, cursor, added_at FROM jobs",
            json.dumps("x"),
        )

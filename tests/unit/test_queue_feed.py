"""Who follows the attempts gets each exactly once; a key adds one job."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
from values import FakeVariants, activation

from taskgen.errors import KeyReusedError, StateError
from taskgen.interfaces import FailureClass
from taskgen.queue import JobQueue, JobSpec

__all__ = ["path"]


# Following.


def test_a_page_is_bounded_by_rows_and_by_bytes(path, monkeypatch):
    monkeypatch.setattr("taskgen.queue.feed.ENOUGH_BYTES", 1500)

    async def work(queue):
        await queue.add(JobSpec(sweep(9)))
        while run := await queue.claim(TARGET):
            many = 30 if run.variant.index in (2, 3) else 0
            await queue.settle(ended(run, activations=(activation(),) * many))
        pages, after = [], 0
        while True:
            page, reached = await queue.attempts_feed(after, limit=4)
            if reached == after:
                break
            pages.append([each.variant for each in page])
            after = reached
        assert pages == [[0, 1, 2], [3], [4, 5, 6, 7], [8]]

    with_queue(path, work)


def test_a_job_is_followed_in_steps_that_are_bounded(path, monkeypatch):
    monkeypatch.setattr("taskgen.queue.feed.SCAN", 3)

    async def work(queue):
        await queue.add(JobSpec(sweep(10)))
        await work_off(queue)
        second = await queue.add(JobSpec(sweep(2)))
        await queue.add(JobSpec(sweep(10)), job_id="third")
        last = await queue.add(JobSpec(sweep(2)))
        await work_off(queue)
        (one, other), end = await everything(queue, job=second)
        assert (one.sequence, end) == (11, 24)  # it begins where the job was added
        assert (await everything(queue, job=last))[0][-1].sequence > other.sequence
        empty, reached = await queue.attempts_feed(other.sequence, job=second)
        assert (empty, reached) == ([], other.sequence + 4)
        assert len((await everything(queue))[0]) == 24

    with_queue(path, work)


def test_who_is_ahead_of_everything_waits_there(path):
    async def work(queue):
        await queue.add(JobSpec(sweep(2)))
        assert await queue.attempts_feed() == ([], 0)
        await work_off(queue)
        assert await queue.attempts_feed(2) == ([], 2)
        assert await queue.attempts_feed(99) == ([], 99)
        assert await queue.attempts_feed(limit=0) == ([], 0)

    with_queue(path, work)


def test_parameters_are_told_where_that_is_wanted(path):
    async def work(queue):
        await queue.add(JobSpec(sweep(2)))
        await queue.add(JobSpec(FakeVariants(1, 1)))
        await work_off(queue)
        attempts, _ = await queue.attempts_feed(parameters=True)
        told = {(each.job_id, each.variant): each.parameters for each in attempts}
        assert sorted(map(str, told.values())) == ["{'1.period': 10}", "{'1.period': 11}", "{}"]
        assert [each.parameters for each in (await queue.attempts_feed())[0]].count(None) == 2

    with_queue(path, work)


def test_a_number_that_is_gone_is_never_used_again(tmp_path):
    """Who has come to the last attempt of a job that is deleted would miss what follows."""
    path = tmp_path / "queue"

    async def first(queue):
        job_id = await queue.add(JobSpec(sweep(3)))
        await work_off(queue)
        await queue.wait_job(job_id)
        await queue.delete(job_id)
        assert await queue.attempts_feed(2) == ([], 3)
        await queue.swept()

    async def second(queue):
        assert ask(path, "SELECT count(*) FROM attempts") == [(0,)]
        await queue.add(JobSpec(sweep(2)))
        await work_off(queue)
        assert [each.sequence for each in (await queue.attempts_feed(3))[0]] == [4, 5]

    with_queue(path, first)
    with_queue(path, second)


STEPS = ["add", "run", "fail", "follow", "follow one", "delete", "prune", "sweep"]
STEPS += ["restart", "crash"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5)), max_size=50))
def test_following_gives_every_attempt_exactly_once(tmp_path_factory, steps):
    """Whatever else happens, deletions, restarts and crashes included. What is deleted before it
    was told is gone; and nobody was told what a crash undid."""
    directory = tmp_path_factory.mktemp("queue")
    cursor, told = 0, []
    one = {"job": None, "cursor": 0, "told": []}
    acknowledged, deleted = set(), set()

    async def follow(queue, limit):
        nonlocal cursor
        page, cursor = await queue.attempts_feed(cursor, limit=limit)
        told.extend(each.run_id for each in page)

    async def follow_one(queue, limit):
        if one["job"] is not None and one["job"] not in deleted:
            page, one["cursor"] = await queue.attempts_feed(
                one["cursor"], job=one["job"], limit=limit
            )
            one["told"].extend(each.run_id for each in page)

    async def life(path, number):
        async with JobQueue.open(path) as queue:
            while steps:
                step, which = steps.pop(0)
                ends = [job.id for job in await queue.jobs() if job.ended_at is not None]
                if step == "add":
                    job_id = await queue.add(JobSpec(sweep(which + 1), tries=1))
                    one["job"] = one["job"] or job_id
                elif step in ("run", "fail"):
                    failure = FailureClass.TASK if step == "fail" else None
                    runs = [await queue.claim(TARGET) for _ in range(which)]
                    settling = [queue.settle(ended(run, failure)) for run in runs if run]
                    await asyncio.gather(*settling)
                    acknowledged.update(run.id for run in runs if run)
                elif step == "follow":
                    await follow(queue, which + 1)
                elif step == "follow one":
                    await follow_one(queue, which + 1)
                elif step == "delete" and ends:
                    job_id = ends[which % len(ends)]
                    await queue.delete(job_id)
                    deleted.add(job_id)
                elif step == "prune":
                    await queue.prune(2.0**62)
                    deleted.update(ends)
                elif step == "sweep":
                    await queue.swept()
                elif step == "restart":
                    return path
                elif step == "crash":
                    return as_after_a_crash(path, directory / str(number))
            left = {each.run_id for each in (await everything(queue))[0]}
            assert left == {run for run in acknowledged if run.split("-")[0] not in deleted}
            before = None
            while before != (cursor, one["cursor"]):
                before = cursor, one["cursor"]
                await follow(queue, 3)
                await follow_one(queue, 3)
            assert left <= set(told)
            if one["job"] not in deleted:
                of_one = {run for run in acknowledged if run.split("-")[0] == one["job"]}
                assert set(one["told"]) == of_one
            return None

    async def main():
        path, number = directory / "first", 0
        while path:
            number += 1
            last, path = path, await life(path, number)
        return last

    asyncio.run(asyncio.wait_for(main(), 120))
    assert len(told) == len(set(told))
    assert len(one["told"]) == len(set(one["told"]))
    assert set(told) <= acknowledged


# Adding once.


def test_the_same_request_with_the_same_key_adds_one_job(tmp_path):
    path = tmp_path / "queue"

    async def first(queue):
        ids = await asyncio.gather(
            *(queue.add(JobSpec(sweep(2)), key="k", request="r") for _ in range(5))
        )
        assert len(set(ids)) == len(await queue.jobs()) == 1
        assert await queue.add(JobSpec(sweep(2)), key="other", request="r") != ids[0]
        assert await queue.add(JobSpec(sweep(2)), request="r") not in ids
        await work_off(queue)
        assert await queue.add(JobSpec(sweep(2)), key="k", request="r") == ids[0]
        return ids[0]

    job_id = with_queue(path, first)

    async def second(queue):
        assert await queue.add(JobSpec(sweep(2)), key="k", request="r") == job_id
        assert await queue.added_with("k", "r") == job_id
        assert await queue.added_with("never", "r") is None
        with pytest.raises(KeyReusedError, match=f"key 'k'.*has made job {job_id}") as caught:
            await queue.add(JobSpec(sweep(3)), key="k", request="something else")
        assert isinstance(caught.value, StateError)
        assert caught.value.job_id == job_id
        assert len(await queue.jobs()) == 3
        await queue.delete(job_id)
        new = await queue.add(JobSpec(sweep(3)), key="k", request="something else")
        assert new != job_id

    with_queue(path, second)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("kl"), st.sampled_from("rs"), st.integers(0, 3)), max_size=20
    )
)
def test_whatever_is_repeated_a_key_makes_one_job(tmp_path_factory, requests):
    """Also of repetitions that come at once, or after a restart, or after a crash."""
    directory = tmp_path_factory.mktemp("queue")
    told = []

    async def ask_for(queue, key, request):
        try:
            job_id = await queue.add(JobSpec(sweep(1)), key=key, request=request)
        except KeyReusedError as error:
            job_id, request = error.job_id, "the other one"
        told.append((key, job_id, request))

    async def main():
        path = directory / "first"
        for number in range(0, len(requests), 5):
            async with JobQueue.open(path) as queue:
                part = requests[number : number + 5]
                await asyncio.gather(*(ask_for(queue, key, r) for key, r, _ in part))
                assert len(await queue.jobs()) == len({key for key, _, _ in told})
                if part[0][2] == 0:
                    path = as_after_a_crash(path, directory / str(number))

    asyncio.run(asyncio.wait_for(main(), 60))
    for wanted in "kl":
        of_key = [(job_id, request) for key, job_id, request in told if key == wanted]
        assert len({job_id for job_id, _ in of_key}) <= 1
        assert len({request for _, request in of_key} - {"the other one"}) <= 1

"""The queue: each variant ends exactly once, done or set aside; jobs can be steered."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queue_tools import TARGET, FakeTarget, ask, ended, path, sweep, with_queue, work_off
from values import FakeVariants, activation, event, outcome

from taskgen.errors import StateError, TaskSetError, UnknownJobError
from taskgen.interfaces import FailureClass, SessionSettings
from taskgen.queue import JobSpec, JobState, Order
from taskgen.queue.schedule import POISON_AFTER
from taskgen.taskset import TaskSet

PERIODS_OF_10_TO_THE_12 = {"pkg": "hey", "period": range(1, 10**6 + 1)}

__all__ = ["path"]


def test_variants_are_claimed_in_their_order(path):
    async def work(queue):
        await queue.add(JobSpec(sweep()))
        return await work_off(queue)

    assert with_queue(path, work) == [0, 1, 2]


def test_a_claimed_run_counts_as_left_and_nothing_more_can_be_claimed(path):
    async def work(queue):
        await queue.add(JobSpec(sweep(1)))
        run = await queue.claim(TARGET)
        assert await queue.claim(TARGET) is None
        assert (queue.counts.queued, queue.counts.running, queue.backlog) == (0, 1, 1)
        await queue.settle(ended(run))
        assert (queue.counts.done, queue.counts.left, queue.backlog) == (1, 0, 0)

    with_queue(path, work)


def test_a_run_that_was_pushed_back_is_claimed_next_as_the_same_attempt(path):
    async def work(queue):
        await queue.add(JobSpec(sweep()))
        run = await queue.claim(TARGET)
        await queue.push_back(run)
        assert await queue.claim(TARGET) == run

    with_queue(path, work)


def attempts_until_given_up(path, spec, failures):
    async def work(queue):
        job_id = await queue.add(spec)
        for number, failure in enumerate(failures, 1):
            run = await queue.claim(TARGET)
            assert (run.attempt, run.outcome) == (number, None)
            if attempts := await queue.settle(ended(run, failure)):
                assert queue.counts.bad == 1
                assert queue.backlog == 0
                assert await queue.bad(job_id) == [0]
                return [attempt.failure for attempt in attempts]
        return None

    return with_queue(path, work)


def test_a_variant_is_given_up_after_its_tries(path):
    task = FailureClass.TASK
    failures = [task, task, task]
    assert attempts_until_given_up(path, JobSpec(sweep(1), tries=2), failures) == [task, task]


def test_failures_of_others_spend_no_tries(path):
    mixed = [FailureClass.TASK, FailureClass.GUEST, FailureClass.MACHINE, FailureClass.TASK]
    assert attempts_until_given_up(path, JobSpec(sweep(1), tries=2), mixed) == mixed


def test_a_variant_that_fails_one_machine_after_the_other_is_given_up(path):
    machine = [FailureClass.MACHINE] * (POISON_AFTER + 1)
    assert attempts_until_given_up(path, JobSpec(sweep(1)), machine) == machine[:POISON_AFTER]


def test_a_variant_that_failed_on_a_target_goes_to_another_one_first(path):
    async def work(queue):
        await queue.add(JobSpec(sweep(1)))
        one, other = FakeTarget("board-1"), FakeTarget("board-2")
        queue.join(one)
        queue.join(other)
        run = await queue.claim(one)
        await queue.settle(ended(run, FailureClass.GUEST, target="board-1"))
        assert await queue.claim(one) is None
        waiting = asyncio.ensure_future(queue.changed())
        again = await queue.claim(other)
        assert again.attempt == 2
        await queue.push_back(again)
        await waiting
        queue.leave(other)
        assert (await queue.claim(one)).attempt == 2

    with_queue(path, work)


def test_a_lone_target_gets_what_it_failed_after_what_is_new(path):
    async def work(queue):
        await queue.add(JobSpec(sweep(2)))
        queue.join(TARGET)
        await queue.settle(ended(await queue.claim(TARGET), FailureClass.GUEST))
        order = []
        while run := await queue.claim(TARGET):
            order.append((run.variant.index, run.attempt))
            await queue.settle(ended(run))
        assert order == [(1, 1), (0, 2)]

    with_queue(path, work)


def test_a_target_of_another_profile_gets_nothing(path):
    async def work(queue):
        await queue.add(JobSpec(sweep(1), profile="genode-pbxa9"))
        assert await queue.claim(TARGET) is None
        assert queue.backlog == queue.backlog_for("genode-pbxa9") == 1
        assert queue.backlog_for(TARGET.profile) == 0

    with_queue(path, work)


def test_a_set_that_cannot_be_counted_is_worked_off_to_its_end(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(FakeVariants(count=None, length=2)))
        assert queue.counts.left is None
        while run := await queue.claim(TARGET):
            assert queue.backlog > 0
            await queue.settle(ended(run))
        assert (queue.counts.done, queue.backlog) == (2, 0)
        info = await queue.wait_job(job_id)
        assert (info.state, info.counts.total, info.resumable) == (JobState.DONE, 2, False)

    with_queue(path, work)


def test_a_set_that_breaks_off_ends_its_job_and_no_other(path):
    class Breaking(FakeVariants):
        def __iter__(self):
            yield from FakeVariants(length=1)
            raise TaskSetError("there is no third period")

    async def work(queue):
        broken = await queue.add(JobSpec(Breaking(count=None)))
        sound = await queue.add(JobSpec(sweep(3)))
        assert len(await work_off(queue)) == 4
        info = await queue.wait_job(broken)
        assert (info.state, info.error) == (JobState.FAILED, "there is no third period")
        assert info.counts.done == 1
        assert (await queue.wait_job(sound)).state is JobState.DONE
        assert queue.backlog == 0

    with_queue(path, work)


def test_whoever_waits_is_woken_by_the_last_result(path):
    async def work(queue):
        await queue.add(JobSpec(sweep(1)))
        run = await queue.claim(TARGET)
        waiting = asyncio.ensure_future(queue.changed())
        await asyncio.sleep(0)
        assert not waiting.done()
        await queue.settle(ended(run))
        await asyncio.wait_for(waiting, 10)

    with_queue(path, work)


def test_what_happens_before_the_waiting_begins_is_not_missed(path):
    async def work(queue):
        news = queue.changed()
        await queue.add(JobSpec(sweep(1)))
        await asyncio.wait_for(news, 10)

    with_queue(path, work)


def test_a_run_is_settled_only_once(path):
    async def work(queue):
        await queue.add(JobSpec(sweep(1)))
        run = ended(await queue.claim(TARGET))
        first = asyncio.ensure_future(queue.settle(run))
        await asyncio.sleep(0)
        for again in (queue.settle, queue.push_back):
            with pytest.raises(KeyError):
                await again(run)
        await first
        with pytest.raises(KeyError):
            await queue.settle(run)

    with_queue(path, work)


@settings(deadline=None)
@given(
    st.integers(0, 8),
    st.lists(st.sampled_from(["claim", "push back", None, *FailureClass]), max_size=60),
    st.integers(1, 3),
)
def test_every_variant_ends_exactly_once(length, steps, tries):
    async def work(queue):
        await queue.add(JobSpec(FakeVariants(count=length, length=length), tries=tries))
        claimed, finished = [], []
        ids = set()
        for step in steps:
            if step == "claim" or not claimed:
                if run := await queue.claim(TARGET):
                    claimed.append(run)
            elif step == "push back":
                await queue.push_back(claimed.pop(0))
            else:
                run = claimed.pop(0)
                assert run.id not in ids
                ids.add(run.id)
                if await queue.settle(ended(run, step)) or step is None:
                    finished.append(run.variant.index)
        for run in claimed:
            await queue.settle(ended(run))
            finished.append(run.variant.index)
        finished += await work_off(queue)
        assert sorted(finished) == list(range(length))
        assert queue.counts.done + queue.counts.bad == length
        assert queue.backlog == 0

    with_queue(None, work)


def test_a_job_of_any_size_is_added_at_once_and_begins_anywhere(path):
    async def work(queue):
        huge = TaskSet([PERIODS_OF_10_TO_THE_12, PERIODS_OF_10_TO_THE_12])
        job_id = await queue.add(JobSpec(huge, offset=10**12 - 2))
        assert (await queue.job(job_id)).counts.total == 2
        whole = await queue.add(JobSpec(huge))
        assert (await queue.job(whole)).counts.total == 10**12
        run = await queue.claim(TARGET)
        assert run.variant.index == 10**12 - 2
        assert (await queue.variant(whole, 10**12 - 1)).index == 10**12 - 1

    with_queue(path, work)


@pytest.mark.parametrize("variants", [sweep(5), sweep(5).variants(), FakeVariants(5, 5)])
def test_offset_and_limit_choose_a_part(path, variants):
    async def work(queue):
        await queue.add(JobSpec(variants, offset=1, limit=3))
        assert queue.counts.total == 3
        assert await work_off(queue) == [1, 2, 3]
        assert queue.backlog == 0

    with_queue(path, work)


def test_an_offset_behind_the_end_is_an_empty_job(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(3), offset=7))
        assert (await queue.wait_job(job_id)).counts.total == 0

    with_queue(path, work)


def test_each_combination_can_be_repeated(path):
    async def work(queue):
        await queue.add(JobSpec(sweep(2), repeat=3))
        return await work_off(queue)

    assert with_queue(path, work) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"offset": -1}, "offset"),
        ({"limit": -1}, "limit"),
        ({"tries": 0}, "tries"),
        ({"repeat": 0}, "repeat"),
        ({"labels": {"a": 1}}, "label 'a'"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        JobSpec(sweep(), **keys)


def test_variants_that_were_made_already_are_not_repeated():
    with pytest.raises(ValueError, match="repeat: give it to variants"):
        JobSpec(sweep().variants(), repeat=2)


def test_more_variants_than_can_be_counted_need_a_limit(path):
    task = {"pkg": "hey", **dict.fromkeys(("period", "offset", "deadline"), range(1, 4 * 10**6))}

    async def work(queue):
        with pytest.raises(TaskSetError, match="give it a limit"):
            await queue.add(JobSpec(TaskSet([task])))
        await queue.add(JobSpec(TaskSet([task]), limit=10))
        assert queue.counts.total == 10

    with_queue(path, work)


def test_a_job_tells_all_that_it_was_given(path):
    async def work(queue):
        session = SessionSettings(admission_control={"query_interval": 5}, duration_s=1.5)
        spec = JobSpec(
            sweep(2), name="rates", labels={"who": "me"}, priority=3, tries=2, settings=session
        )
        job_id = await queue.add(spec, job_id="mine")
        assert job_id == "mine"
        info = await queue.job(job_id)
        assert (info.name, info.labels, info.priority, info.tries, info.resumable) == (
            "rates",
            {"who": "me"},
            3,
            2,
            True,
        )
        assert info.provenance["taskset"] == "TaskSet"
        assert len(info.provenance["taskset_sha256"]) == 64
        run = await queue.claim(TARGET)
        assert (run.settings, run.provenance) == (session, info.provenance)
        assert [job.id for job in await queue.jobs()] == ["mine"]
        assert await queue.jobs(after=info.number) == []

    with_queue(path, work)


def test_nobody_knows_a_job_that_there_is_not(path):
    async def work(queue):
        for ask_for in (queue.job, queue.cancel, queue.pause, queue.retry_bad, queue.wait_job):
            with pytest.raises(UnknownJobError, match="nothing"):
                await ask_for("nothing")

    with_queue(path, work)


def test_the_same_id_is_not_used_twice(path):
    async def work(queue):
        await queue.add(JobSpec(sweep()), job_id="one")
        with pytest.raises(ValueError, match="in use"):
            await queue.add(JobSpec(sweep()), job_id="one")
        assert len(await work_off(queue)) == 3

    with_queue(path, work)


def order_of(queue_order, specs):
    async def work(queue):
        for name, spec in specs.items():
            await queue.add(spec, job_id=name)
        order = []
        while run := await queue.claim(TARGET):
            order.append(run.job_id)
            await queue.settle(ended(run))
        return "".join(order)

    return with_queue(None, work, order=queue_order)


def test_jobs_of_the_same_priority_share_a_target():
    assert order_of(Order.FAIR, {"a": JobSpec(sweep(4)), "b": JobSpec(sweep(2))}) == "ababaa"


def test_a_higher_priority_goes_first():
    specs = {"a": JobSpec(sweep(2)), "b": JobSpec(sweep(2), priority=1)}
    assert order_of(Order.FAIR, specs) == "bbaa"


def test_the_oldest_job_goes_first_where_that_is_wanted():
    assert order_of(Order.FIFO, {"a": JobSpec(sweep(3)), "b": JobSpec(sweep(1))}) == "aaab"


def test_the_order_can_be_changed_while_runs_are_handed_out():
    async def work(queue):
        for name in "ab":
            await queue.add(JobSpec(sweep(3)), job_id=name)
        order = []
        while run := await queue.claim(TARGET):
            order.append(run.job_id)
            await queue.settle(ended(run))
            if len(order) == 2:
                queue.order = Order.FIFO
        return "".join(order)

    assert with_queue(None, work) == "abaabb"


def test_a_cancelled_job_gives_nothing_more_and_keeps_what_it_has(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(5)))
        first, second, third = [await queue.claim(TARGET) for _ in range(3)]
        await queue.settle(ended(first, FailureClass.TASK))
        await queue.cancel(job_id)
        assert await queue.claim(TARGET) is None
        assert queue.backlog == 2
        waiting = asyncio.create_task(queue.wait_job(job_id))
        await queue.settle(ended(second))
        await asyncio.sleep(0)
        assert not waiting.done()
        await queue.push_back(third)
        info = await waiting
        assert (info.state, info.counts.done, info.counts.left) == (JobState.CANCELLED, 1, 0)
        assert queue.backlog == 0
        await queue.cancel(job_id)
        for steer in (queue.pause, queue.resume, queue.retry_bad):
            with pytest.raises(StateError):
                await steer(job_id)

    with_queue(path, work)
    if path:
        assert ask(path, "SELECT count(*) FROM claims") == [(0,)]


def test_a_failure_while_its_job_is_cancelled_leaves_nothing_waiting(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(5)))
        run = await queue.claim(TARGET)
        settling = asyncio.ensure_future(queue.settle(ended(run, FailureClass.TASK)))
        await asyncio.sleep(0)
        await queue.cancel(job_id)
        await settling
        assert (await queue.wait_job(job_id)).counts.failed_attempts == 1

    with_queue(path, work)
    if path:
        assert ask(path, "SELECT count(*) FROM claims") == [(0,)]


def test_a_paused_job_waits_until_it_is_resumed(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(2)))
        await queue.pause(job_id)
        assert (await queue.job(job_id)).state is JobState.PAUSED
        assert (await queue.claim(TARGET), queue.backlog) == (None, 0)
        news = queue.changed()
        await queue.resume(job_id)
        await news
        assert (await queue.job(job_id)).state is JobState.QUEUED
        assert await work_off(queue) == [0, 1]

    with_queue(path, work)


def test_what_was_set_aside_can_be_run_again_as_new_attempts(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(3), tries=2))
        for _ in range(2):
            while (run := await queue.claim(TARGET)) and run.variant.index != 1:
                await queue.settle(ended(run))
            console, events = "Kernel panic \udc80\0", (event("START"),)
            await queue.settle(ended(run, FailureClass.TASK, console=console, events=events))
        assert await work_off(queue) == []
        assert (await queue.wait_job(job_id)).counts.bad == 1
        assert await queue.retry_bad(job_id) == 1
        assert (queue.counts.bad, queue.counts.left) == (0, 1)
        run = await queue.claim(TARGET)
        assert (run.variant.index, run.attempt) == (1, 3)
        assert await queue.settle(ended(run, FailureClass.TASK)) == ()
        assert await work_off(queue) == [1]
        info = await queue.wait_job(job_id)
        assert (info.state, info.counts.done, info.counts.failed_attempts) == ("done", 3, 3)
        attempts = await queue.attempts_at(job_id, 1)
        assert [each.attempt for each in attempts] == [1, 2, 3, 4]
        assert attempts[0].outcome.console.startswith("Kernel panic")
        assert attempts[0].outcome.events == events
        assert await queue.retry_bad(job_id) == 0

    with_queue(path, work)


def test_a_result_comes_back_as_it_was_kept(path):
    async def work(queue):
        job_id = await queue.add(JobSpec(sweep(1)))
        run = await queue.claim(TARGET)
        told = outcome(
            activations=(activation(), activation(number=2, end_us=None, cpu_us=None, exit="")),
            started_at=1700000000.123456,
            duration_s=0.1,
            provenance={"accelerator": "tcg", "binaries": {"hey": "2c26"}},
        )
        await queue.settle(replace(run, outcome=told))
        (kept,) = [each async for each in queue.results(job_id)]
        assert kept.outcome == told
        assert (kept.run_id, kept.job_id, kept.variant, kept.parameters) == (
            run.id,
            job_id,
            0,
            None,
        )
        assert (await queue.variant(job_id, kept.position)).parameters == {"1.period": 10}
        assert [each async for each in queue.attempts()] == [kept]
        assert [each async for each in queue.attempts(after=kept.sequence)] == []

    with_queue(path, work)


def test_results_are_read_page_by_page_in_the_order_of_the_variants(path, monkeypatch):
    monkeypatch.setattr("taskgen.queue.history.PAGE", 2)

    async def work(queue):
        job_id = await queue.add(JobSpec(FakeVariants(5, 5)))
        runs = [await queue.claim(TARGET) for _ in range(5)]
        await asyncio.gather(*(queue.settle(ended(run)) for run in reversed(runs)))
        results = [each async for each in queue.results(job_id)]
        assert [each.position for each in results] == [0, 1, 2, 3, 4]
        assert [each.parameters for each in results] == [{}] * 5
        rest = [each.position async for each in queue.results(job_id, after=2)]
        assert rest == [3, 4]

    with_queue(path, work)


def test_old_jobs_are_forgotten_with_all_that_came_of_them(path):
    now = 1000.0

    async def work(queue):
        nonlocal now
        old = await queue.add(JobSpec(sweep(2)))
        await work_off(queue)
        await queue.wait_job(old)
        now = 2000.0
        young = await queue.add(JobSpec(sweep(2)))
        await work_off(queue)
        await queue.prune(1500.0)
        assert [job.id for job in await queue.jobs()] == [young]
        with pytest.raises(UnknownJobError):
            await queue.job(old)
        assert {each.job_id async for each in queue.attempts()} == {young}

    with_queue(path, work, clock=lambda: now)


def test_many_results_share_a_transaction(tmp_path):
    async def work(queue):
        await queue.add(JobSpec(sweep(200)))
        runs = [await queue.claim(TARGET) for _ in range(200)]
        before = queue.transactions
        await asyncio.gather(*(queue.settle(ended(run)) for run in runs))
        assert queue.transactions - before <= 3
        assert queue.counts.done == 200

    with_queue(tmp_path / "queue.db", work)

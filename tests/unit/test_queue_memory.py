"""The queue in memory: each variant ends exactly once, done or given up."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import FakeVariants, outcome

from taskgen.interfaces import FailureClass
from taskgen.queue.memory import POISON_AFTER, Job, MemoryQueue


class FakeTarget:
    name, profile, usable = "taskgen-1", "linux-x86_64", True


TARGET = FakeTarget()


def queue_of(*jobs):
    queue = MemoryQueue()
    for job in jobs:
        queue.add(job)
    return queue


def ended(run, failure=None):
    return replace(run, outcome=outcome(failure))


def test_variants_are_claimed_in_their_order():
    async def main():
        queue = queue_of(Job(FakeVariants()))
        return [(await queue.claim(TARGET)).variant.index for _ in range(3)]

    assert asyncio.run(main()) == [0, 1, 2]


def test_a_claimed_run_counts_as_left_and_nothing_more_can_be_claimed():
    async def main():
        queue = queue_of(Job(FakeVariants(count=1, length=1)))
        run = await queue.claim(TARGET)
        assert await queue.claim(TARGET) is None
        assert (queue.counts.queued, queue.counts.running, queue.backlog) == (0, 1, 1)
        await queue.settle(ended(run))
        assert (queue.counts.done, queue.counts.left, queue.backlog) == (1, 0, 0)

    asyncio.run(main())


def test_a_run_that_was_pushed_back_is_claimed_next_as_the_same_attempt():
    async def main():
        queue = queue_of(Job(FakeVariants()))
        run = await queue.claim(TARGET)
        await queue.push_back(run)
        assert await queue.claim(TARGET) == run

    asyncio.run(main())


def attempts_until_given_up(job, failures):
    async def main():
        queue = queue_of(job)
        for number, failure in enumerate(failures, 1):
            run = await queue.claim(TARGET)
            assert (run.attempt, run.outcome) == (number, None)
            if attempts := await queue.settle(ended(run, failure)):
                assert queue.counts.bad == 1
                assert queue.backlog == 0
                return [attempt.failure for attempt in attempts]
        return None

    return asyncio.run(main())


def one(**keys):
    return Job(FakeVariants(count=1, length=1), **keys)


def test_a_variant_is_given_up_after_its_tries():
    task = FailureClass.TASK
    assert attempts_until_given_up(one(tries=2), [task, task, task]) == [task, task]


def test_failures_of_others_spend_no_tries():
    mixed = [FailureClass.TASK, FailureClass.GUEST, FailureClass.MACHINE, FailureClass.TASK]
    assert attempts_until_given_up(one(tries=2), mixed) == mixed


def test_a_variant_that_fails_one_machine_after_the_other_is_given_up():
    machine = [FailureClass.MACHINE] * (POISON_AFTER + 1)
    assert attempts_until_given_up(one(), machine) == machine[:POISON_AFTER]


def test_a_target_of_another_profile_gets_nothing():
    async def main():
        queue = queue_of(one(profile="genode-pbxa9"))
        assert await queue.claim(TARGET) is None
        assert queue.backlog == 1

    asyncio.run(main())


def test_a_set_that_cannot_be_counted_is_worked_off_to_its_end():
    async def main():
        queue = queue_of(Job(FakeVariants(count=None, length=2)))
        assert queue.counts.left is None
        while run := await queue.claim(TARGET):
            assert queue.backlog > 0
            await queue.settle(ended(run))
        assert (queue.counts.done, queue.backlog) == (2, 0)

    asyncio.run(main())


def test_whoever_waits_is_woken_by_the_next_change():
    async def main():
        queue = queue_of(one())
        run = await queue.claim(TARGET)
        waiting = asyncio.create_task(queue.changed())
        await asyncio.sleep(0)
        assert not waiting.done()
        await queue.settle(ended(run))
        await asyncio.wait_for(waiting, 10)

    asyncio.run(main())


@given(
    st.integers(0, 8),
    st.lists(st.sampled_from(["claim", "push back", None, *FailureClass]), max_size=60),
    st.integers(1, 3),
)
def test_every_variant_ends_exactly_once(length, steps, tries):
    async def main():
        queue = queue_of(Job(FakeVariants(count=length, length=length), tries=tries))
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
        while run := await queue.claim(TARGET):
            await queue.settle(ended(run))
            finished.append(run.variant.index)
        assert sorted(finished) == list(range(length))
        assert queue.counts.done + queue.counts.bad == length
        assert queue.backlog == 0

    asyncio.run(main())


def test_a_run_is_settled_only_once():
    async def main():
        queue = queue_of(one())
        run = ended(await queue.claim(TARGET))
        await queue.settle(run)
        with pytest.raises(KeyError):
            await queue.settle(run)

    asyncio.run(main())

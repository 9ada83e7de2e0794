"""Waiting that is cut short, and one task that waits for many."""

import asyncio

import pytest

from taskgen.waiting import SharedWait, cut_short


def on_event_of(future):
    def on_event(callback):
        future.add_done_callback(callback)
        return lambda: future.remove_done_callback(callback)

    return on_event


def test_a_block_is_left_when_the_event_happens():
    async def main():
        event = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(event.set_result, None)
        async with asyncio.timeout(30), cut_short(on_event_of(event)):
            await asyncio.Event().wait()
            pytest.fail("nobody has set it")

    asyncio.run(main())


def test_an_event_after_the_block_changes_nothing():
    async def main():
        event = asyncio.get_running_loop().create_future()
        async with cut_short(on_event_of(event)):
            event.set_result(None)  # told in the next turn of the loop
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_a_block_that_is_late_by_a_limit_of_its_own_says_so():
    async def main():
        event = asyncio.get_running_loop().create_future()
        with pytest.raises(TimeoutError):
            async with cut_short(on_event_of(event)), asyncio.timeout(0):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0), cut_short(on_event_of(event)):
                await asyncio.Event().wait()

    asyncio.run(main())


def test_cancelling_passes_through_a_block():
    async def main():
        event = asyncio.get_running_loop().create_future()

        async def work():
            async with cut_short(on_event_of(event)):
                await asyncio.Event().wait()

        working = asyncio.create_task(work())
        await asyncio.sleep(0)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working

    asyncio.run(main())


def test_all_who_want_to_be_told_share_one_task_and_the_next_ones_another():
    async def main():
        events, told = [], []

        def wait():
            events.append(asyncio.Event())
            return events[-1].wait()

        shared = SharedWait(wait)
        for _ in range(3):
            shared.on_event(lambda task: told.append(task.result()))
        assert len(events) == 1
        events[0].set()
        await asyncio.sleep(0)  # the task is through
        await asyncio.sleep(0)
        assert len(told) == 3
        shared.on_event(told.append)
        assert len(events) == 2

    asyncio.run(main())


def test_nothing_waits_once_nobody_wants_to_be_told():
    async def main():
        shared = SharedWait(asyncio.Event().wait)
        stops = [shared.on_event(lambda task: pytest.fail("nobody asked for it")) for _ in "ab"]
        stops[0]()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 2
        stops[1]()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        async with asyncio.timeout(30):
            await asyncio.wait(others)
        assert all(task.cancelled() for task in others)

    asyncio.run(main())

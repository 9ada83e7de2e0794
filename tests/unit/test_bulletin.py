"""What has just happened, for everybody who listens."""

import asyncio
import json

import pytest

from taskgen import bulletin as module
from taskgen.bulletin import Bulletin
from taskgen.resources import EventKind, StreamEvent


class Timer:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def made(**options):
    options.setdefault("timer", Timer())
    return Bulletin(clock=lambda: 17.5, **options)


def problem(board, key):
    board.publish(EventKind.PROBLEM, {"key": key})


def run(board, kind, job, **data):
    board.publish(kind, {"run": f"{job}-0-1", "job": job, **data})


async def told(subscription):
    """What waits for a subscriber, without waiting for more."""
    batch = await asyncio.wait_for(subscription.batch(), 5)
    return [each.data.get("key", str(each.kind)) for each in batch]


def in_loop(test):
    return lambda: asyncio.run(test())


@in_loop
async def test_a_subscriber_is_told_what_happens_from_then_on():
    board = made(sequence=lambda: 41)
    problem(board, "before")
    async with board.subscribe() as subscription:
        problem(board, "after")
        [notice] = await subscription.batch()
    event = StreamEvent.model_validate_json(notice.json)
    assert (event.kind, event.data, event.at) == (EventKind.PROBLEM, {"key": "after"}, 17.5)
    assert event.id == f"41.{board.epoch}.2"
    assert "\n" not in notice.json


@in_loop
async def test_a_subscriber_goes_on_behind_the_event_that_it_knows():
    board = made()
    async with board.subscribe() as first:
        for key in "abc":
            problem(board, key)
        known = (await first.batch())[0].id
    problem(board, "d")
    async with board.subscribe(known) as second:
        assert await told(second) == ["b", "c", "d"]


@in_loop
async def test_who_knows_the_last_event_is_not_told_to_resync():
    board = made()
    async with board.subscribe() as first:
        problem(board, "a")
        await first.batch()
        async with board.subscribe(board.last_id) as second:
            problem(board, "b")
            assert await told(second) == ["b"]


@pytest.mark.parametrize(
    "after",
    [
        "0.00000000.1",  # of an earlier daemon
        "0.{epoch}.99",  # not told yet: of an earlier daemon that had the same epoch by chance
        "0.{epoch}.0",  # fallen out of the ring
        "", "1", "..", "0.{epoch}.-1", "0.{epoch}.²", "x" * 9999, "0.{epoch}." + "9" * 30,
    ],
)  # fmt: skip
def test_who_cannot_go_on_is_told_to_resync_first(after):
    async def main():
        board = made(ring_events=2)
        async with board.subscribe():
            for key in "abcd":
                problem(board, key)
            async with board.subscribe(after.format(epoch=board.epoch)) as late:
                problem(board, "e")
                assert await told(late) == ["resync", "e"]

    asyncio.run(main())


@in_loop
async def test_a_resync_can_be_gone_on_from():
    board = made()
    async with board.subscribe("nonsense") as first:
        problem(board, "a")
        resync = (await first.batch())[0].id
    async with board.subscribe(resync) as second:
        assert await told(second) == ["a"]


@in_loop
async def test_a_slow_subscriber_is_told_to_resync_and_the_others_everything():
    board = made()
    number = module.WAITING_EVENTS * 3
    got = []
    async with board.subscribe() as slow, board.subscribe() as quick:
        for key in range(number):
            problem(board, str(key))
            got += await told(quick)
        waiting = await told(slow)
        problem(board, "on")
        assert await told(slow) == ["on"]
    assert got == [str(key) for key in range(number)]
    assert waiting[0] == "resync"
    assert len(waiting) <= module.WAITING_EVENTS
    assert waiting[1:] == [str(key) for key in range(number - len(waiting) + 1, number)]


@in_loop
async def test_what_waits_is_bounded_by_size_too():
    board = made()
    async with board.subscribe() as slow:
        for key in "abcde":
            board.publish(
                EventKind.PROBLEM, {"key": key, "text": "x" * (module.WAITING_BYTES // 3)}
            )
        assert (await told(slow))[0] == "resync"


@in_loop
async def test_the_ring_is_bounded_by_size_too():
    board = made(ring_bytes=10_000)
    async with board.subscribe():
        first = board.last_id
        for key in "abc":
            board.publish(EventKind.PROBLEM, {"key": key, "text": "x" * 4000})
        async with board.subscribe(first) as late:
            assert await told(late) == ["resync"]


@in_loop
async def test_only_chosen_kinds_are_told():
    board = made()
    async with board.subscribe(kinds=[EventKind.MACHINE]) as subscription:
        problem(board, "a")
        board.publish(EventKind.MACHINE, {"name": "taskgen-1"})
        assert await told(subscription) == ["machine"]


@in_loop
async def test_only_a_chosen_job_is_told():
    board = made()
    async with board.subscribe(job="mine") as subscription:
        problem(board, "a")
        run(board, EventKind.RUN_FINISHED, "other")
        run(board, EventKind.RUN_FINISHED, "mine")
        board.publish(EventKind.JOB, {"id": "mine"})
        board.publish(EventKind.JOB_GONE, {"id": "other"})
        assert await told(subscription) == ["run.finished", "job"]


@in_loop
async def test_single_events_of_runs_are_for_those_who_ask_and_cost_the_others_nothing():
    board = made()
    async with board.subscribe() as plain:
        assert not board.run_events_wanted
        run(board, EventKind.RUN_EVENT, "j", event={})
        async with board.subscribe(run_events=True) as curious:
            assert board.run_events_wanted
            run(board, EventKind.RUN_EVENT, "j", event={})
            assert await told(curious) == ["run.event"]
        problem(board, "a")
        assert await told(plain) == ["a"]
    assert not board.run_events_wanted


@in_loop
async def test_single_events_do_not_push_the_others_out_of_the_ring():
    board = made(ring_events=2)
    async with board.subscribe(run_events=True):
        known = board.last_id
        problem(board, "a")
        for _ in range(10):
            run(board, EventKind.RUN_EVENT, "j", event={})
        async with board.subscribe(known) as late:
            assert await told(late) == ["a"]


@in_loop
async def test_who_comes_back_soon_has_missed_nothing_and_later_has_to_resync():
    timer = Timer()
    board = made(timer=timer)
    async with board.subscribe():
        known = board.last_id
    problem(board, "a")
    timer.now += module.LINGER_S - 1
    async with board.subscribe(known) as back:
        assert await told(back) == ["a"]
    timer.now += module.LINGER_S + 1
    assert not board.wanted
    problem(board, "b")
    async with board.subscribe(known) as late:
        assert await told(late) == ["resync"]


@in_loop
async def test_nothing_is_written_down_that_nobody_reads():
    class Unwritable(dict):
        """The encoder would ask it for its items."""

        def items(self):
            raise AssertionError("was written down")

    board = made()
    async with board.subscribe(kinds=[EventKind.MACHINE]):
        board.publish(EventKind.PROBLEM, Unwritable(key="a"))


@in_loop
async def test_what_many_read_is_written_down_once():
    board = made()
    async with board.subscribe() as one, board.subscribe() as two:
        problem(board, "a")
        texts = [(await each.batch())[0].json for each in (one, two)]
    assert texts[0] is texts[1]
    assert json.loads(texts[0])["data"] == {"key": "a"}


@in_loop
async def test_closing_ends_all_subscriptions_after_what_was_told():
    board = made()
    subscription = board.subscribe()
    problem(board, "a")
    board.close()
    assert [each.data["key"] async for each in subscription] == ["a"]
    assert [each async for each in board.subscribe()] == []
    assert board.subscribers == 0


@in_loop
async def test_a_waiting_subscriber_is_woken():
    board = made()
    async with board.subscribe() as subscription:
        waiting = asyncio.create_task(subscription.batch())
        await asyncio.sleep(0)
        problem(board, "a")
        assert [each.data["key"] for each in await asyncio.wait_for(waiting, 5)] == ["a"]

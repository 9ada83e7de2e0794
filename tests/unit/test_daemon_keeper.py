"""A pool that gives up ends an embedded service's work, and a daemon's only for a while."""

import asyncio

import pytest
from api_tools import served

from taskgen import pool_keeper
from taskgen.errors import BootError, QueueError
from taskgen.pool_keeper import PoolKeeper
from taskgen.problems import Problems

BROKEN = BootError("taskgen-1 does not boot", hint="look at its image")
LIMIT_S = 10


async def reported(problems):
    """Wait until there is a problem."""
    told = asyncio.Event()
    problems.on_change(lambda key, problem: told.set())
    if not problems.current:
        await told.wait()


class FakePool:
    """Fails as often as it is told to, then works until it is told to end."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.began = 0
        self.works = asyncio.Event()
        self.ends = asyncio.Event()

    async def run(self):
        self.began += 1
        if self.errors:
            raise self.errors.pop(0)
        self.works.set()
        await self.ends.wait()


def keeping(test, *errors, **keys):
    async def main():
        problems = Problems()
        pool = FakePool(*errors)
        keeper = PoolKeeper({"machines": pool}, problems, **keys)
        keeper.begin()
        async with asyncio.timeout(LIMIT_S):
            await test(keeper, pool, problems)
            await keeper.end()

    asyncio.run(main())


def test_an_embedded_service_has_failed_until_it_is_told_to_try_again():
    async def test(keeper, pool, problems):
        await keeper.failed.wait()
        assert (keeper.failure, problems.current) == (BROKEN, ())
        keeper.retry()
        await pool.works.wait()
        assert (keeper.failure, keeper.failed.is_set(), pool.began) == (None, False, 2)

    keeping(test, BROKEN)


def test_a_daemon_says_so_and_tries_again_by_itself(monkeypatch):
    monkeypatch.setattr(pool_keeper, "FIRST_REST_S", 0.01)

    async def test(keeper, pool, problems):
        await pool.works.wait()
        assert pool.began == 4
        assert keeper.failure is None
        (problem,) = problems.current
        assert (problem.key, problem.fatal) == ("machines", True)
        assert problem.text == "machines cannot work: taskgen-1 does not boot"
        assert problem.hint == "look at its image"
        keeper.well("machines")
        assert problems.current == ()

    keeping(test, BROKEN, BROKEN, BROKEN, lasting=True)


def test_what_was_wrong_with_hosts_is_over_when_one_works(tmp_path, monkeypatch):
    async def main():
        problems = Problems()
        async with served(tmp_path, monkeypatch, problems=problems) as api:
            problems.report("hosts", "hosts cannot work: a test says so")
            await api.ended(await api.add())
            assert problems.current == ()

    asyncio.run(main())


def test_the_rests_between_tries_grow():
    async def test(keeper, pool, problems):
        for rest_s in (30, 60, 120, 240, 480, 600, 600):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert keeper._rests["machines"] == rest_s
            keeper.retry()
            await asyncio.sleep(0)
        await pool.works.wait()

    keeping(test, *[BROKEN] * 7, lasting=True)


def test_a_pool_that_rests_does_not_hold_up_the_end():
    async def test(keeper, pool, problems):
        await reported(problems)
        pool.ends.set()  # draining
        keeper.retry()
        await keeper.ended()

    keeping(test, BROKEN, lasting=True)


def test_without_a_queue_a_daemon_cannot_go_on():
    async def test(keeper, pool, problems):
        await keeper.failed.wait()
        assert isinstance(keeper.failure, QueueError)
        keeper.retry()
        assert keeper.failed.is_set()

    keeping(test, QueueError("torn"), lasting=True)


@pytest.mark.parametrize("lasting", [True, False])
def test_a_bug_in_a_pool_is_noticed_and_not_tried_again(lasting, caplog):
    async def test(keeper, pool, problems):
        await keeper.failed.wait()
        assert "a bug of ours: KeyError('x')" in str(keeper.failure)

    keeping(test, KeyError("x"), lasting=lasting)
    assert "Traceback" in caplog.text


def test_of_two_pools_the_other_one_works_on():
    async def main():
        problems = Problems()
        broken, well = FakePool(BROKEN), FakePool()
        keeper = PoolKeeper({"machines": broken, "hosts": well}, problems, lasting=True)
        keeper.begin()
        async with asyncio.timeout(LIMIT_S):
            await well.works.wait()
            await reported(problems)
            assert [problem.fatal for problem in problems.current] == [False]
            keeper.retry()
            await broken.works.wait()
            assert well.began == 1
            await keeper.end()

    asyncio.run(main())

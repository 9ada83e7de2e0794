"""Hosts of address ranges, on fakes at addresses of the loopback network."""

import asyncio
import os
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace

import pytest
from small_queue import SmallQueue
from test_binaries import elf
from values import FakeVariant, run

from taskgen import scan
from taskgen.addresses import parse_hosts
from taskgen.binaries import Binaries
from taskgen.board import BoardKind
from taskgen.discovery import dial as real_dial
from taskgen.engine import Engine
from taskgen.errors import TaskSetError
from taskgen.hosts import HostPool
from taskgen.interfaces import FailureClass
from taskgen.scan import Backoff, HostState
from taskgen.settings import HostSettings
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing import FakeTaskloader, Faults

PROFILE = SimpleNamespace(name="linux-x86_64")
SETTINGS = {"connect_s": 30.0, "answer_s": 30.0, "reboot_s": 30.0}
LIMIT_S = 120


@pytest.fixture
def binaries(tmp_path):
    (tmp_path / "hey").write_bytes(elf())
    return Binaries([tmp_path], "x86_64")


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Back-offs of a tenth of a second at most, in their proportions."""
    for state in scan.BACKOFFS:
        monkeypatch.setitem(scan.BACKOFFS, state, Backoff(0.02, 0.1))


def variants(count, **keys):
    periods = list(range(10, 10 + count)) or [10]
    task = Task({"pkg": "hey", "period": periods, "numberofjobs": 2, **keys})
    return list(TaskSet([task]).variants())[:count]


class World:
    """Fakes on one port, a pool that looks for them, an engine, and a queue."""

    def __init__(self, pool, queue, engine, fakes):
        self.pool, self.queue, self.engine, self.fakes = pool, queue, engine, fakes

    def status(self):
        return {status.address: status for status in self.pool.status()}

    def states(self):
        return {address: status.state for address, status in self.status().items()}

    async def run(self):
        async with asyncio.timeout(LIMIT_S):
            await self.pool.run()

    async def until(self, condition):
        """Wait until something is so, looking whenever the plan changes."""
        async with asyncio.timeout(LIMIT_S):
            while not condition():  # noqa: ASYNC110 - many things change it
                await asyncio.sleep(0.005)


@asynccontextmanager
async def world(binaries, hosts, fakes, *, runs=6, variants=variants, port=None, **options):
    """:param fakes: keywords of a fake by its address."""
    settings = {
        key: options.pop(key) for key in list(options) if key in HostSettings.__annotations__
    }
    dial = options.pop("dial", real_dial)
    async with AsyncExitStack() as stack:
        servers = {}
        for address, keys in fakes.items():
            server = FakeTaskloader(host=address, port=port or 0, **{"time_scale": 0.01, **keys})
            servers[address] = await stack.enter_async_context(server)
            port = server.port
        queue = SmallQueue(variants(runs) if callable(variants) else variants, slack_s=30.0)
        engine = Engine(queue)
        stack.push_async_callback(engine.close)
        kind = BoardKind(
            profile=PROFILE,
            binaries=binaries,
            settings=HostSettings(**{**SETTINGS, "port": port or 1, **settings}),
            dial=dial,
        )
        pool = HostPool(parse_hosts(hosts), engine.serve, queue, kind, **options)
        yield World(pool, queue, engine, servers)
        assert HostState.SERVING not in pool.summary()
        assert all(
            t is asyncio.current_task() or "host" not in t.get_name() for t in asyncio.all_tasks()
        )


def test_the_hosts_of_a_range_share_the_work(binaries):
    fakes = {"127.9.1.3": {}, "127.9.1.9": {}, "127.9.2.1": {}}

    async def main():
        async with world(binaries, ["127.9.1.0/28", "127.9.2.1"], fakes, runs=30) as w:
            await w.run()
            assert len(w.queue.results) == len(w.queue.outcomes) == 30
            assert {o.target for o in w.queue.results} == set(fakes)
            states = w.states()
            assert {a for a, s in states.items() if s is HostState.FREE} == set(fakes)
            assert not any(server.connected for server in w.fakes.values())
            assert w.pool.summary()[HostState.FREE] == 3
            assert sum(w.pool.summary().values()) == 15

    asyncio.run(main())


def test_a_host_without_an_echo_is_busy_says_so_and_is_used_once_it_answers(binaries):
    fakes = {"127.9.1.3": {"faults": Faults(never_available=True)}}

    async def main():
        async with world(binaries, "127.9.1.3", fakes, answer_s=0.1) as w:
            working = asyncio.create_task(w.run())
            await w.until(lambda: w.status().get("127.9.1.3", SimpleNamespace(failures=0)).failures)
            status = w.status()["127.9.1.3"]
            assert status.state in (HostState.BUSY, HostState.TRYING)
            assert "another client has it" in status.reason
            w.fakes["127.9.1.3"].faults = Faults()
            await working
            assert len(w.queue.results) == 6

    asyncio.run(main())


@asynccontextmanager
async def two_engines(binaries, **keys):
    """Both are after the one host."""
    host = "127.9.1.3"
    async with (
        world(binaries, host, {host: keys}, answer_s=0.1) as first,
        world(binaries, host, {}, port=first.fakes[host].port, answer_s=0.1) as second,
    ):
        yield first, second
        for each in (first, second):
            assert len(each.queue.results) == 6
            assert {o.failure for o in each.queue.outcomes} <= {None, FailureClass.INFRASTRUCTURE}


def test_two_engines_do_not_fight_over_a_host_with_one_place(binaries):
    async def main():
        async with two_engines(binaries, time_scale=1.0) as (first, second):
            one = asyncio.create_task(first.run())
            await first.until(lambda: first.queue.results)
            other = asyncio.create_task(second.run())
            await second.until(second.states)
            assert second.status()["127.9.1.3"].reason.startswith("busy: connected")
            assert first.states() == {"127.9.1.3": HostState.SERVING}
            await one
            await other
            assert len(first.queue.outcomes) == 6

    asyncio.run(main())


def test_a_host_that_another_engine_gets_while_it_restarts_is_left_to_that(binaries):
    async def main():
        async with two_engines(binaries, time_scale=0.5) as (first, second):
            await asyncio.gather(first.run(), second.run())
            for each in (first, second):
                for outcome in each.queue.outcomes:
                    assert outcome.failure is None or "somebody else got it" in outcome.reason

    asyncio.run(main())


def test_a_connection_that_is_lost_in_mid_run_costs_no_run(binaries):
    fakes = {"127.9.1.3": {}, "127.9.1.4": {"faults": Faults(drop_after_events=2)}}

    async def main():
        async with world(binaries, "127.9.1.0/29", fakes, runs=20) as w:
            working = asyncio.create_task(w.run())
            await w.until(lambda: len(w.queue.outcomes) > len(w.queue.results))
            lost = [o for o in w.queue.outcomes if o.failure]
            assert {(o.target, o.failure) for o in lost} == {("127.9.1.4", FailureClass.GUEST)}
            w.fakes["127.9.1.4"].faults = Faults()
            w.fakes["127.9.1.3"].faults = Faults(hang_after_start=True)
            await w.until(lambda: "127.9.1.4" in {o.target for o in w.queue.results})
            w.fakes["127.9.1.3"].faults = Faults()
            w.fakes["127.9.1.3"].drop_client()
            await working
            assert len(w.queue.results) == 20

    asyncio.run(main())


def test_a_host_that_loses_every_run_is_left_alone_for_longer_and_longer(binaries):
    fakes = {"127.9.1.4": {"faults": Faults(drop_after_events=0)}}

    async def main():
        async with world(binaries, "127.9.1.4", fakes, runs=1) as w:
            working = asyncio.create_task(w.run())
            await w.until(lambda: len(w.queue.outcomes) >= 4)
            await w.until(lambda: w.states()["127.9.1.4"] is HostState.LOST)
            status = w.status()["127.9.1.4"]
            assert status.failures >= 4
            assert status.next_try_s <= 0.1
            assert "closed the connection" in status.reason or "reset" in status.reason
            w.fakes["127.9.1.4"].faults = Faults()
            await working
            assert len(w.queue.results) == 1

    asyncio.run(main())


def test_a_server_that_is_started_later_is_found(binaries):
    async def main():
        async with FakeTaskloader() as probe:
            port = probe.port
        async with world(binaries, "127.9.1.3", {}, port=port, runs=2) as w:
            working = asyncio.create_task(w.run())
            await w.until(lambda: w.states().get("127.9.1.3") is HostState.REFUSED)
            async with FakeTaskloader(host="127.9.1.3", port=port, time_scale=0.01):
                await working
            assert len(w.queue.results) == 2

    asyncio.run(main())


def test_no_more_hosts_are_held_than_there_are_runs(binaries):
    fakes = {f"127.9.1.{n}": {"time_scale": 1.0} for n in range(1, 7)}

    async def main():
        endless = variants(1, period=60_000)
        async with world(binaries, "127.9.1.0/29", fakes, variants=endless) as w:
            working = asyncio.create_task(w.run())
            await w.until(lambda: any(server.tasks for server in w.fakes.values()))
            await w.until(lambda: not w.pool.summary().get(HostState.TRYING))
            assert w.pool.summary()[HostState.SERVING] == 1
            await w.until(lambda: sum(server.connected for server in w.fakes.values()) == 1)
            assert sum(server.boots for server in w.fakes.values()) == 6 + 1
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working

    asyncio.run(main())


def test_draining_finishes_what_is_running_and_gives_the_hosts_free(binaries):
    fakes = {
        "127.9.1.3": {"time_scale": 1.0},
        "127.9.1.4": {"faults": Faults(never_available=True)},
    }

    async def main():
        async with world(binaries, ["127.9.1.3", "127.9.1.4"], fakes) as w:
            working = asyncio.create_task(w.run())
            await w.until(lambda: w.queue.running)
            w.pool.drain()
            await working
            assert len(w.queue.results) == 1
            assert w.queue.backlog == 5
            assert w.states()["127.9.1.3"] is HostState.FREE
            assert w.pool.summary() == {HostState.FREE: 1, HostState.UNTRIED: 1}

    asyncio.run(main())


def test_draining_before_anything_was_tried_is_the_end(binaries):
    async def main():
        async with world(binaries, "127.9.1.0/24", {}, standing=True) as w:
            working = asyncio.create_task(w.run())
            w.pool.drain()
            await working
            assert w.pool.summary() == {HostState.UNTRIED: 254}

    asyncio.run(main())


def test_tries_that_are_cancelled_before_they_begin_are_given_back(binaries):
    async def main():
        async with world(binaries, "127.9.1.0/24", {}) as w:
            async with asyncio.TaskGroup() as lives:
                w.pool._act(lives)
                for attempt in w.pool._tries.values():
                    attempt.cancel()
                assert w.pool.summary() == {HostState.TRYING: 64, HostState.UNTRIED: 190}
            await asyncio.sleep(0)
            assert w.pool.summary() == {HostState.UNTRIED: 254}

    asyncio.run(main())


def test_releasing_gives_runs_back_at_once(binaries):
    async def main():
        endless = variants(1, period=60_000)
        fakes = {"127.9.1.3": {"time_scale": 1.0}}
        async with world(binaries, "127.9.1.3", fakes, variants=endless) as w:
            working = asyncio.create_task(w.run())
            await w.until(lambda: w.queue.running)
            w.pool.pause()
            w.pool.release()
            async with asyncio.timeout(LIMIT_S):
                await w.pool.emptied()
            assert (w.queue.running, len(w.queue.waiting)) == ({}, 1)
            assert w.states() == {"127.9.1.3": HostState.FREE}
            await w.until(lambda: not w.fakes["127.9.1.3"].connected)
            w.fakes["127.9.1.3"].time_scale = 0.0
            w.pool.resume()
            await working
            assert len(w.queue.results) == 1

    asyncio.run(main())


def test_a_standing_pool_waits_for_work(binaries):
    async def main():
        async with world(binaries, "127.9.1.3", {"127.9.1.3": {}}, runs=0, standing=True) as w:
            working = asyncio.create_task(w.run())
            for number, variant in enumerate(variants(20)):
                w.queue.add(run(number, variant=variant))
                await w.until(lambda: not w.queue.backlog)
            assert len(w.queue.results) == 20
            assert not working.done()
            w.pool.drain()
            await working

    asyncio.run(main())


def test_cancelling_gives_everything_back(binaries):
    async def main():
        fakes = {
            "127.9.1.3": {"time_scale": 1.0},
            "127.9.1.4": {"faults": Faults(never_available=True)},
        }
        async with world(binaries, "127.9.1.0/29", fakes) as w:
            working = asyncio.create_task(w.run())
            await w.until(lambda: w.queue.running)
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
            assert w.queue.running == {}
            assert w.queue.backlog == 6

    asyncio.run(main())


def test_a_task_set_that_fails_to_give_its_next_variant_ends_the_run(binaries):
    class Broken(SmallQueue):
        async def claim(self, target):
            raise TaskSetError("no more")

    async def main():
        async with world(binaries, "127.9.1.3", {"127.9.1.3": {}}) as w:
            w.engine.queue = Broken([FakeVariant()])
            with pytest.raises(TaskSetError, match="no more"):
                await w.run()

    asyncio.run(main())


def test_trouble_of_this_host_is_not_blamed_on_others(binaries, monkeypatch, caplog):
    monkeypatch.setattr("taskgen.hosts.REST_S", 0.2)
    attempts = []

    async def dial(address, port):
        attempts.append(address)
        if len(attempts) < 10:
            raise OSError(24, os.strerror(24))
        return await real_dial(address, port)

    async def main():
        fakes = {"127.9.1.3": {}}
        async with world(binaries, "127.9.1.0/29", fakes, dial=dial, concurrency=2) as w:
            await w.run()
            assert len(w.queue.results) == 6
            assert w.status()["127.9.1.3"].failures == 0
        told = [r.message for r in caplog.records if "no host is tried for" in r.message]
        assert 1 <= len(told) <= 9
        assert "Too many open files" in told[0]

    asyncio.run(main())


def test_a_sixteen_bit_range_is_scanned_with_few_connections_and_tasks(binaries, monkeypatch):
    count = 2**16 - 2
    now, most, tasks, tried = 0, 0, 0, []
    through = asyncio.Event()
    # The short back-offs of this module would have them tried over and over.
    monkeypatch.setitem(scan.BACKOFFS, HostState.SILENT, Backoff(1000.0, 1000.0))

    async def dial(address, port):
        nonlocal now, most, tasks
        tried.append(int(address))
        now += 1
        most = max(most, now)
        if len(tried) % 100 == 0:
            tasks = max(tasks, len(asyncio.all_tasks()))
        if len(tried) == count:
            through.set()
        try:
            await asyncio.sleep(0)
            raise OSError(113, "No route to host")
        finally:
            now -= 1

    async def main():
        async with world(binaries, "127.9.0.0/16", {}, variants=[], dial=dial) as w:
            w.queue.add(run())
            working = asyncio.create_task(w.run())
            async with asyncio.timeout(LIMIT_S):
                await through.wait()
            w.pool.drain()
            await working
            assert w.pool.summary().get(HostState.SILENT, 0) >= count - 64

    asyncio.run(main())
    assert len(tried) == len(set(tried)) == count
    assert most == 64
    assert tasks <= 64 + 10


def test_real_sockets_are_bounded_on_closed_ports(binaries):
    """A /20 of closed ports of the loopback network."""
    most = 0

    async def dial(address, port):
        nonlocal most
        most = max(most, len(os.listdir("/proc/self/fd")))
        return await real_dial(address, port)

    async def main():
        async with FakeTaskloader() as fake:
            port = fake.port
        before = len(os.listdir("/proc/self/fd"))
        async with world(
            binaries, "127.9.16.0/20", {}, port=port, variants=[], dial=dial, concurrency=16
        ) as w:
            w.queue.add(run())
            working = asyncio.create_task(w.run())
            await w.until(lambda: not w.pool.summary().get(HostState.UNTRIED))
            w.pool.drain()
            await working
            summary = w.pool.summary()
            assert summary.pop(HostState.UNTRIED, 0) <= 16  # the last ones were broken off
            assert set(summary) == {HostState.REFUSED}
        assert most - before <= 16 + 4

    asyncio.run(main())

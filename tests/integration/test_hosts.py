"""Hosts of address ranges: real guests and fakes, in the network that plays the host.

The addresses exist only in the tests' own network namespace.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest
from host_tools import available, fleet, machine
from pyroute2 import IPRoute

from taskgen.addresses import parse_hosts
from taskgen.binaries import Binaries
from taskgen.board import Board, BoardKind
from taskgen.engine import Engine
from taskgen.hosts import HostPool
from taskgen.interfaces import Run, SessionSettings
from taskgen.scan import HostState
from taskgen.settings import HostSettings
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing import FakeTaskloader, Faults

LIMIT_S = 240
PORT = 3001


@asynccontextmanager
async def guests(profile, network, *numbers):
    """Real guests at 172.25.1.NUMBER, on a bridge of what plays the host; ready to be found."""
    there = replace(
        network,
        subnet=IPv4Network("172.25.1.0/24"),
        bridge_address=IPv4Address("172.25.1.254"),
        slots=10,
    )
    async with fleet(there, namespace="") as (directory, net), AsyncExitStack() as stack:
        machines = [
            await stack.enter_async_context(machine(profile, directory, net, number))
            for number in numbers
        ]
        for number in numbers:
            assert await available(net, there.slot(number).address, timeout_s=120)
        yield machines


@pytest.fixture
def lab():
    """A bridge without ports, with addresses of 172.49.1.0/24: the rest of it leads nowhere."""
    with IPRoute() as ipr:
        ipr.link("add", ifname="lab0", kind="bridge")
        index = ipr.link_lookup(ifname="lab0")[0]
        for address in ("172.49.1.3", "172.49.1.7", "172.49.1.200"):
            ipr.addr("add", index=index, address=address, prefixlen=24)
        ipr.link("set", index=index, state="up")
        yield
        ipr.link("del", index=index)


@asynccontextmanager
async def fakes(by_address):
    """:param by_address: keywords of a fake by its address."""
    async with AsyncExitStack() as stack:
        for address, keys in by_address.items():
            await stack.enter_async_context(FakeTaskloader(host=address, port=PORT, **keys))
        yield


class Endless:
    """A queue that never runs dry; it keeps what came of each run."""

    backlog = 1000

    def backlog_for(self, profile):
        return self.backlog

    def __init__(self, variants):
        self.variants = variants
        self.given = 0
        self.running = {}
        self.ended = []
        self.news = asyncio.Event()

    def join(self, target):
        pass

    def leave(self, target):
        pass

    async def claim(self, target):
        variant = self.variants[self.given % len(self.variants)]
        self.given += 1
        run = a_run(variant, number=self.given)
        self.running[run.id] = run
        return run

    async def settle(self, run):
        del self.running[run.id]
        self.ended.append(run)
        self.news.set()
        return ()

    async def push_back(self, run):
        del self.running[run.id]

    async def changed(self):
        await asyncio.Event().wait()

    async def until(self, condition):
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                self.news.clear()
                await self.news.wait()


def a_run(variant, number=1):
    return Run(
        id=f"run-{number}",
        job_id="job",
        variant=variant,
        attempt=1,
        settings=SessionSettings(slack_s=60.0),
    )


def kind(profile, binaries, **settings):
    return BoardKind(
        profile=profile,
        binaries=Binaries([binaries], profile.architecture),
        settings=HostSettings(**{"answer_s": 20.0, **settings}),
    )


def test_guests_and_fakes_in_two_ranges_are_found_and_work_together(profile, network, lab):
    tasks = TaskSet([Task({"pkg": "hey", "period": [240, 250, 260], "numberofjobs": 3})])
    real = {"172.25.1.1", "172.25.1.4"}
    simulated = {"172.49.1.3", "172.49.1.200"}

    async def main():
        async with (
            guests(profile, network, 1, 4),
            fakes(
                {
                    "172.49.1.3": {},
                    "172.49.1.200": {"precise": False},
                    "172.49.1.7": {"faults": Faults(never_available=True)},
                }
            ),
        ):
            queue = Endless(tasks.variants())
            engine = Engine(queue)
            pool = HostPool(
                parse_hosts(["172.25.1.0/24", "172.49.1.0/24"]),
                engine.serve,
                queue,
                kind(profile, profile.binaries, answer_s=5.0),
            )
            running = asyncio.create_task(pool.run())
            try:
                await queue.until(
                    lambda: min(Counter(results(queue))[name] for name in real | simulated) >= 3
                )
                status = {each.address: each for each in pool.status()}
                # Nothing listens on the address of the bridge, and one fake does not answer.
                assert status["172.25.1.254"].reason.endswith("Connection refused")
                assert "another client has it" in status["172.49.1.7"].reason
                engine.drain()
                pool.drain()
                async with asyncio.timeout(LIMIT_S):
                    await running
            finally:
                running.cancel()
                await asyncio.wait([running])
                await engine.close()
            assert not queue.running
            assert [r.outcome.reason for r in queue.ended if r.outcome.failure] == []
            assert set(results(queue)) == real | simulated
            for run in queue.ended:
                assert [a.exit for a in run.outcome.activations] == ["EXIT"] * 3
                assert run.outcome.provenance["binaries_trusted"] is False
            assert pool.summary()[HostState.FREE] == 4

    asyncio.run(main())


def results(queue):
    return [run.outcome.target for run in queue.ended]


def test_a_changed_binary_reboots_a_real_guest_and_the_new_one_runs(profile, network, tmp_path):
    tasks = TaskSet([Task({"pkg": "hey", "period": 0, "config": {"arg1": 1, "arg2": 3}})])
    (variant,) = tasks.variants()
    built = profile.binaries

    async def main():
        async with guests(profile, network, 2):
            board = await Board.find("lab", IPv4Address("172.25.1.2"), kind(profile, tmp_path))
            assert isinstance(board, Board), board
            try:
                exits, since_boot = [], []
                for binary in ("hey", "hey", "idle"):
                    (tmp_path / "hey").write_bytes((built / binary).read_bytes())
                    outcome = await board.execute(a_run(variant), lambda event: None)
                    assert outcome.failure is None, outcome.reason
                    exits.append(outcome.activations[0].exit)
                    since_boot.append(outcome.provenance["runs_since_boot"])
                # What idle is told makes it end with 3; hey does not care.
                assert exits == ["EXIT", "EXIT", "EXIT_ERROR"]
                assert since_boot == [0, 1, 0]
            finally:
                await board.close()

    asyncio.run(main())


def test_a_guest_that_dies_in_mid_run_is_lost_and_says_so(profile, network):
    tasks = TaskSet([Task({"pkg": "hey", "period": 50, "numberofjobs": 10_000})])
    (variant,) = tasks.variants()

    async def main():
        async with guests(profile, network, 3) as (guest,):
            found = kind(profile, profile.binaries)
            board = await Board.find("lab", IPv4Address("172.25.1.3"), found)
            assert isinstance(board, Board), board

            resets = []

            def reset_once(event):
                if not resets:
                    resets.append(asyncio.create_task(guest.qmp.execute("system_reset")))
                    board._manager.session._wire.look_often()  # else it takes 10 s to notice

            try:
                outcome = await board.execute(a_run(variant), reset_once)
            finally:
                await board.close()
            assert outcome.failure == "guest"
            assert "lab: connection lost" in outcome.reason
            assert not board.usable

    asyncio.run(main())

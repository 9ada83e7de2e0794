"""What is done to one machine of a fleet in mid-run, by people and by accidents.

The job ends with exactly one result for each variant, whatever it was.
"""

import asyncio
import os
import signal

import pytest
from pyroute2 import IPRoute
from world import network, no_leftovers, own_world, profile

from taskgen.engine import Engine
from taskgen.host.netns import Namespace
from taskgen.interfaces import FailureClass, SessionSettings
from taskgen.local import local_fleet
from taskgen.local_plan import FleetPlan
from taskgen.queue import JobQueue, JobSpec, JobState
from taskgen.settings import FleetSettings, QemuSettings, Settings
from taskgen.task import Task
from taskgen.taskset import TaskSet

__all__ = ["network", "no_leftovers", "own_world", "profile"]

VARIANTS = 12


class Faulty:
    """Two machines at a job, and what can be done to the first of them."""

    def __init__(self, fleet, pool, queue):
        self.fleet, self.pool, self.queue = fleet, pool, queue
        self.told = []
        self._news = asyncio.Event()
        pool.on_change(self._note)

    def _note(self, name, info):
        self.told.append((name, info))
        self._news.set()

    async def until(self, happened):
        async with asyncio.timeout(120):
            while not any(happened(name, info) for name, info in self.told):
                self._news.clear()
                await self._news.wait()
        return next(info for name, info in self.told if happened(name, info))

    @property
    def first(self):
        return next(info for info in self.pool.info if info.slot == 1)

    async def kill(self):
        self.pool.kill_machine("taskgen-1")

    async def restart(self):
        self.pool.restart_machine("taskgen-1")

    async def drain(self):
        self.pool.drain_machine("taskgen-1")
        await self.until(lambda name, info: info is not None and info.state == "held")
        self.pool.restart_machine("taskgen-1")

    async def end_qemu(self):
        os.kill(self.first.pid, signal.SIGKILL)

    async def stop_qemu(self):
        os.kill(self.first.pid, signal.SIGSTOP)

    async def delete_tap(self):
        namespace: Namespace = self.fleet.network.namespace
        await namespace.run(delete_link, self.first.tap)


def delete_link(name):
    with IPRoute() as ipr:
        ipr.link("del", ifname=name)


async def with_fault(profile, fault):
    """What was told of the machines, and the failed attempts."""
    settings = Settings(
        fleet=FleetSettings(boot_concurrency=2), qemu=QemuSettings(accelerator="tcg")
    )
    taskset = TaskSet([Task(pkg="hey", period=500, numberofjobs=4, priority=list(range(VARIANTS)))])
    async with (
        local_fleet(FleetPlan(profile=profile, settings=settings)) as fleet,
        JobQueue.open() as queue,
    ):
        limits = SessionSettings(slack_s=8.0, margin=1.0)
        job_id = await queue.add(JobSpec(taskset, settings=limits))
        engine = Engine(queue)
        pool = fleet.pool(engine, queue, limit=2)
        work = Faulty(fleet, pool, queue)
        running = asyncio.create_task(pool.run())
        await work.until(lambda name, info: name == "taskgen-1" and info and info.run)
        before = work.first.pid
        await getattr(work, fault)()
        async with asyncio.timeout(200):
            await running
        await engine.close()
        info = await queue.job(job_id)
        assert (info.state, info.counts.done, info.counts.bad) == (JobState.DONE, VARIANTS, 0)
        kept = [each async for each in queue.results(job_id)]
        assert sorted(each.position for each in kept) == list(range(VARIANTS))
        attempts = [each for n in range(VARIANTS) for each in await queue.attempts_at(job_id, n)]
        failures = [each.outcome for each in attempts if each.outcome.failure]
        pids = {info.pid for name, info in work.told if info and info.pid}
        return before, pids, failures


@pytest.mark.parametrize("fault", ["kill", "restart", "drain"])
def test_what_people_do_to_a_machine_fails_no_run(profile, fault):
    before, pids, failures = asyncio.run(with_fault(profile, fault))
    assert failures == []
    assert before in pids
    assert len(pids) == 3  # the two, and the one that came after


@pytest.mark.parametrize(
    ("fault", "failure", "reason"),
    [
        ("end_qemu", FailureClass.MACHINE, "killed by SIGKILL"),
        ("stop_qemu", FailureClass.MACHINE, "stopped by a signal"),
        ("delete_tap", FailureClass.INFRASTRUCTURE, "its tap taskgen1 is gone"),
    ],
)
def test_what_happens_to_a_machine_fails_one_run_which_is_repeated(profile, fault, failure, reason):
    _, _, failures = asyncio.run(with_fault(profile, fault))
    assert [each.failure for each in failures] == [failure]
    assert reason in failures[0].reason

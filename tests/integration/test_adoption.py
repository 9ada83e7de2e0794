"""What a dead daemon leaves running goes on under the next one."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from taskgen.queue import JobQueue, JobSpec, JobState
from taskgen.task import Task
from taskgen.taskset import TaskSet

DOOMED = Path(__file__).with_name("doomed_fleet.py")
LIMIT_S = 240


@pytest.fixture
def state():
    """A directory that the QEMU user can reach; pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="state-", dir="/run"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


class Life:
    """One process that works off the job."""

    def __init__(self, process):
        self.process = process
        self.told = []

    async def until(self, happened):
        """Read what it tells until ``happened`` is true of all that was told."""
        async with asyncio.timeout(LIMIT_S):
            while not happened(self.told):
                line = await self.process.stdout.readline()
                assert line, f"it has ended: {self.told}"
                self.told.append(json.loads(line))

    async def end(self):
        """What it tells until its end; its exit status."""
        async with asyncio.timeout(LIMIT_S):
            self.told += [json.loads(line) async for line in self.process.stdout]
            return await self.process.wait()

    def of(self, event, told=None):
        return [each for each in self.told if each["event"] == event]


@asynccontextmanager
async def life(directory, *, machines=2, keep=False):
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, str(DOOMED), str(directory / "queue.db"), str(directory / "machines")],
        *[str(machines), *(["keep"] if keep else [])],
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Life(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def running(told, count):
    """Whether so many machines carry out a run."""
    latest = {each["machine"]: each for each in told if "machine" in each}
    return sum(each["run"] is not None for each in latest.values()) >= count


async def add_job(directory, runs, **task):
    async with JobQueue.open(directory / "queue.db") as queue:
        taskset = TaskSet([Task(pkg="hey", priority=list(range(1, runs + 1)), **task)])
        return await queue.add(JobSpec(taskset))


async def results(directory, job_id):
    async with JobQueue.open(directory / "queue.db") as queue:
        info = await queue.job(job_id)
        assert info.state is JobState.DONE
        return sorted([each.position async for each in queue.results(job_id)])


def at_first(told):
    """What was told of each machine first. One that was disturbed in an upload gets another QEMU
    for its next run."""
    return {each["machine"]: each for each in reversed(told)}


def test_a_daemon_killed_in_mid_run_leaves_its_machines_to_the_next(state, profile):
    async def main():
        job_id = await add_job(state, 6, period=700, numberofjobs=4)
        async with life(state) as first:
            await first.until(lambda told: running(told, 2))
            await first.until(lambda told: first.of("result"))
            await first.until(lambda told: running(told, 2))
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
        async with life(state) as second:
            assert await second.end() == 0
        assert second.of("begun") == [{"event": "begun", "left": 2}]
        pids = {each["machine"]: each["pid"] for each in first.of("ready")}
        ready = at_first(second.of("ready"))
        assert {name: each["pid"] for name, each in ready.items()} == pids
        assert all(each["adopted"] for each in ready.values())
        assert not second.of("launching")
        assert not [each for each in second.of("result") if each["failure"]]
        assert await results(state, job_id) == list(range(6))

    asyncio.run(main())


def test_a_fleet_that_is_kept_at_the_end_goes_on_under_the_next_engine(state, profile):
    async def main():
        job_id = await add_job(state, 2, period=100, numberofjobs=2)
        async with life(state, machines=1, keep=True) as first:
            assert await first.end() == 0
        next_job = await add_job(state, 2, period=100, numberofjobs=2)
        async with life(state, machines=1) as second:
            assert await second.end() == 0
        assert second.of("ready")[0]["pid"] == first.of("ready")[0]["pid"]
        assert not second.of("launching")
        for each in (job_id, next_job):
            assert await results(state, each) == [0, 1]

    asyncio.run(main())


def test_what_died_meanwhile_is_replaced_and_the_rest_is_adopted(state, profile):
    async def main():
        job_id = await add_job(state, 6, period=700, numberofjobs=4)
        async with life(state) as first:
            await first.until(lambda told: running(told, 2))
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
        pids = {each["machine"]: each["pid"] for each in first.of("ready")}
        os.kill(pids["taskgen-1"], signal.SIGKILL)
        os.kill(pids["taskgen-2"], signal.SIGSTOP)  # does not answer, until it is looked at
        asyncio.get_running_loop().call_later(1.0, os.kill, pids["taskgen-2"], signal.SIGCONT)
        async with life(state) as second:
            assert await second.end() == 0
        ready = at_first(second.of("ready"))
        assert ready["taskgen-2"]["pid"] == pids["taskgen-2"]
        assert ready["taskgen-2"]["adopted"]
        assert ready["taskgen-1"]["pid"] != pids["taskgen-1"]
        assert not ready["taskgen-1"]["adopted"]
        assert await results(state, job_id) == list(range(6))

    asyncio.run(main())


def test_a_machine_that_boots_while_its_daemon_dies_is_adopted_too(state, profile):
    async def main():
        job_id = await add_job(state, 2, period=100, numberofjobs=2)
        async with life(state, machines=1) as first:
            await first.until(lambda told: first.of("booting"))
            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
        async with life(state, machines=1) as second:
            assert await second.end() == 0
        assert second.of("ready")[0]["pid"] == first.of("booting")[0]["pid"]
        assert await results(state, job_id) == [0, 1]

    asyncio.run(main())

"""A machine that goes back to its saved state a thousand times: nothing grows, and no run fails."""

import asyncio
import gc
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

from world import network, no_leftovers, own_world, profile

from taskgen.audience import Audience
from taskgen.engine import Engine
from taskgen.events.handler import EventHandler
from taskgen.host.records import state_root
from taskgen.lifecycle import MachineState
from taskgen.local import local_fleet
from taskgen.local_plan import FleetPlan
from taskgen.queue import JobQueue, JobSpec
from taskgen.run_settings import Reset, RunSettings, SnapshotSettings
from taskgen.settings import QemuSettings, Settings
from taskgen.taskset import TaskSet

__all__ = ["network", "no_leftovers", "own_world", "profile"]

#: For all runs of one test; they take a few minutes on two quiet cores.
PATIENCE_S = 2400

#: A sample is taken after so many runs.
EVERY = 10

#: What memory may differ by: 2 KiB for each of a thousand runs would be a leak. Objects count, too:
#: a few that each run leaves show sooner there than in memory that is used again in pieces.
NOISE_KB, OBJECTS = 1000, 500


#: Threads that the loop may have for what would block it.
THREADS = 6


@dataclass(frozen=True)
class Sample:
    """What there is after a number of runs."""

    runs: int
    qemu: int  # PID
    qemu_kb: int  # its own memory, which it shares with nobody
    qemu_fds: int
    engine_kb: int
    engine_objects: int  # of Python's, that are in use
    engine_fds: int
    engine_threads: int
    snapshots_kb: int  # on the disk
    files: int  # of fleet and state, but for what consoles have said, which has a bound


def own_kb(pid):
    """Memory that is no file's. Not PSS: that depends on who else has QEMU's program open."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Anonymous:\s+(\d+)", rollup, re.MULTILINE)[1])


def fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def files_in(path):
    return [each for each in path.rglob("*") if each.is_file() and "consoles" not in each.parts]


def sample(runs, qemu):
    snapshots = files_in(state_root() / "snapshots")
    gc.collect()  # the engine seldom does: garbage is no leak
    return Sample(
        runs=runs,
        qemu=qemu,
        qemu_kb=own_kb(qemu),
        qemu_fds=fds(qemu),
        engine_kb=own_kb(os.getpid()),
        engine_objects=len(gc.get_objects()),
        engine_fds=fds(os.getpid()),
        engine_threads=len(os.listdir("/proc/self/task")),
        snapshots_kb=sum(each.stat().st_blocks for each in snapshots) // 2,
        files=len(files_in(state_root())) + len(files_in(Path("/run/taskgen"))),
    )


class Watch(EventHandler):
    """Takes samples, and notes what fails, and what each run began from."""

    def __init__(self):
        self.samples, self.failed, self.origins = [], [], set()
        self.runs, self.due = 0, EVERY

    def on_finish(self, run):
        outcome = run.outcome
        self.runs += 1
        if outcome.failure:
            self.failed.append((self.runs, outcome.reason, outcome.console))
            print(*self.failed[-1], sep="\n", flush=True)
        told = outcome.provenance
        self.origins.add((told.get("reset"), told.get("runs_since_boot"), told.get("snapshot")))

    def on_change(self, name, info):
        """The machine is between two runs: its QEMU is there, and at no other work."""
        if info and info.state is MachineState.READY and info.runs >= self.due:
            self.due = info.runs + EVERY
            self.samples.append(sample(info.runs, info.pid))
            print(self.samples[-1], flush=True)


async def have_all_threads():
    """The loop makes another one whenever none is free, up to a bound: that is no leak, even if it
    comes late."""
    loop, met = asyncio.get_running_loop(), Barrier(THREADS)
    loop.set_default_executor(ThreadPoolExecutor(THREADS))
    await asyncio.gather(*(loop.run_in_executor(None, met.wait) for _ in range(THREADS)))


def watched(profile, path, *, runs, icount, templates):
    """What a fleet of one machine was seen to have while it carried out a job."""
    settings = Settings(
        qemu=QemuSettings(accelerator="tcg"),
        run=RunSettings(reset=Reset.SNAPSHOT),
        snapshots=SnapshotSettings(templates=templates),
    )
    plan = FleetPlan(profile=profile, settings=settings, icount=icount)
    job = JobSpec(TaskSet([{"pkg": "hey", "period": 0, "config": {"arg1": range(runs)}}]))
    watch = Watch()

    async def main():
        await have_all_threads()
        async with local_fleet(plan) as fleet, JobQueue.open(path / "queue.db") as queue:
            await queue.add(job)
            engine = Engine(queue, Audience([watch]))
            pool = fleet.pool(engine, queue, limit=1)
            pool.on_change(watch.on_change)
            async with asyncio.timeout(PATIENCE_S):
                await pool.run()
            await engine.close()
            assert queue.counts.failed_attempts == 0

    asyncio.run(main())
    return watch


def grown(samples, what):
    """By how much the least of the last quarter is more than that of the second one. In the first
    one all that is kept is made."""
    values = [getattr(each, what) for each in samples]
    quarter = len(values) // 4
    return min(values[-quarter:]) - min(values[quarter : 2 * quarter])


def check(watch, runs):
    assert watch.failed == []
    assert watch.runs == runs
    ((reset, since_boot, state),) = watch.origins
    assert (reset, since_boot) == ("snapshot", 0), "some runs began from something else"
    assert state
    for held in ("qemu_fds", "engine_fds", "engine_threads", "snapshots_kb", "files"):
        assert grown(watch.samples, held) <= 0, held
    assert grown(watch.samples, "engine_objects") < OBJECTS
    for memory in ("qemu_kb", "engine_kb"):
        assert grown(watch.samples, memory) < NOISE_KB, memory


def test_one_qemu_loads_its_state_a_thousand_times(profile, tmp_path):
    # Virtual time is what an emulated x86 goes back in.
    watch = watched(profile, tmp_path, runs=1000, icount=True, templates=False)
    check(watch, 1000)
    assert len({each.qemu for each in watch.samples}) == 1


def test_one_machine_gets_a_qemu_from_the_template_for_each_of_many_runs(profile, tmp_path):
    watch = watched(profile, tmp_path, runs=200, icount=False, templates=True)
    check(watch, 200)
    assert len({each.qemu for each in watch.samples}) == len(watch.samples)

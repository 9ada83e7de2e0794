"""As many machines as the network holds boot at once, and each gets to work as soon as it can."""

import asyncio

from world import network, no_leftovers, own_world, profile

from taskgen.audience import Audience
from taskgen.engine import Engine
from taskgen.events.handler import EventHandler
from taskgen.fleet import STARTING
from taskgen.host.cores import whole_cores
from taskgen.lifecycle import MachineState
from taskgen.local import local_fleet
from taskgen.local_plan import FleetPlan
from taskgen.queue import JobQueue, JobSpec
from taskgen.run_settings import SnapshotSettings
from taskgen.settings import QemuSettings, Settings
from taskgen.taskset import TaskSet

__all__ = ["network", "no_leftovers", "own_world", "profile"]

MACHINES = 42

#: For the whole storm; it takes a minute and a half on two quiet cores.
PATIENCE_S = 1500

#: Each run is that long, so that those who work leave the cores to those who boot.
RUN_MS = 8000


class Attempts(EventHandler):
    """Remembers what became of attempts that failed."""

    def __init__(self):
        self.failed = []

    def on_finish(self, run):
        if run.outcome.failure:
            self.failed.append((run.outcome.target, run.outcome.reason))
            print(run.outcome.target, run.outcome.reason, run.outcome.console, sep="\n", flush=True)


class Storm:
    """What a pool told while its machines booted."""

    def __init__(self, pool):
        self.launched, self.ready, self.failed = [], [], []
        self.most_starting = 0
        self.there_at_first_ready = 0
        self.served = set()
        self.all_served = asyncio.Event()
        self._pool = pool
        pool.on_change(self._note)

    def _note(self, name, info):
        starting = sum(each.state in STARTING for each in self._pool.info)
        self.most_starting = max(self.most_starting, starting)
        if info is None:
            return
        if info.state is MachineState.LAUNCHING:
            self.launched.append(name)
        elif info.state is MachineState.FAILED or info.trouble:
            self.failed.append((name, info.reason, info.trouble))
        elif info.state is MachineState.READY and name not in self.ready:
            self.there_at_first_ready = self.there_at_first_ready or len(self._pool.machines)
            self.ready.append(name)
        if info.runs:
            self.served.add(name)
        if len(self.served) == MACHINES:
            self.all_served.set()


def test_42_machines_become_useful_one_by_one_and_none_fails(tmp_path, profile):
    settings = Settings(
        qemu=QemuSettings(accelerator="tcg"),
        snapshots=SnapshotSettings(templates=False),  # so they do boot
    )
    plan = FleetPlan(profile=profile, settings=settings)
    sweep = TaskSet([{"pkg": "hey", "period": RUN_MS, "priority": 10, "offset": range(10**6)}])

    async def main():
        async with local_fleet(plan) as fleet, JobQueue.open(tmp_path / "queue.db") as queue:
            job = await queue.add(JobSpec(sweep))
            attempts = Attempts()
            engine = Engine(queue, Audience([attempts]))
            pool = fleet.pool(engine, queue, limit=MACHINES)
            assert pool.room.holds(MACHINES) == MACHINES, pool.room.reasons(MACHINES)
            storm = Storm(pool)
            async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
                group.create_task(pool.run())
                await storm.all_served.wait()
                await queue.cancel(job)
            await engine.close()
            assert attempts.failed == []
            assert queue.counts.failed_attempts == 0
        return storm

    storm = asyncio.run(main())
    assert storm.failed == []
    assert len(storm.launched) == len(set(storm.launched)) == MACHINES, "some had to boot twice"
    assert len(storm.ready) == MACHINES
    # The first works while most of the others have not even been launched.
    assert storm.most_starting == whole_cores()
    assert storm.there_at_first_ready <= whole_cores() + 1

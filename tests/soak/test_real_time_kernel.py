"""The reference guest with the real-time kernel: ``make guest KERNEL=rt``, then as any other."""

import asyncio

import pytest
from world import network, no_leftovers, own_world

from taskgen.audience import Audience
from taskgen.engine import Engine
from taskgen.events.handler import EventHandler
from taskgen.local import local_fleet
from taskgen.local_plan import FleetPlan
from taskgen.profiles import load_profile
from taskgen.queue import JobQueue, JobSpec
from taskgen.run_settings import Reset, RunSettings, SnapshotSettings
from taskgen.settings import QemuSettings, Settings
from taskgen.taskset import TaskSet

__all__ = ["network", "no_leftovers", "own_world"]

#: Its kernel boots slower than the cloud kernel.
PATIENCE_S = 900


class Origins(EventHandler):
    """What each run began from."""

    def __init__(self):
        self.told = []

    def on_finish(self, run):
        assert run.outcome.failure is None, run.outcome.reason
        provenance = run.outcome.provenance
        self.told.append((provenance.get("reset"), str(provenance.get("snapshot"))))


@pytest.mark.parametrize("templates", [True, False])
def test_each_run_begins_from_a_saved_state(tmp_path, templates):
    profile = load_profile("linux-x86_64-rt")  # built before: nothing can be fetched from in here
    settings = Settings(
        qemu=QemuSettings(accelerator="tcg"),
        run=RunSettings(reset=Reset.SNAPSHOT),
        snapshots=SnapshotSettings(templates=templates),
    )
    job = JobSpec(TaskSet([{"pkg": "hey", "period": 0, "config": {"arg1": range(6)}}]))
    origins = Origins()

    async def main():
        plan = FleetPlan(profile=profile, settings=settings)
        async with local_fleet(plan) as fleet, JobQueue.open(tmp_path / "queue.db") as queue:
            await queue.add(job)
            engine = Engine(queue, Audience([origins]))
            async with asyncio.timeout(PATIENCE_S):
                await fleet.pool(engine, queue, limit=2).run()
            await engine.close()
            assert queue.counts.failed_attempts == 0

    asyncio.run(main())
    assert len(origins.told) == 6
    assert {reset for reset, _ in origins.told} == {"snapshot"}
    of_template = [state.startswith("template-") for _, state in origins.told]
    assert of_template == [templates] * 6

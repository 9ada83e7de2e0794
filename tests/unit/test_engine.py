"""Engine and pool together, on machines without QEMU: nothing is lost, nothing is left."""

import asyncio
from dataclasses import replace

import pytest
from engine_world import World, good
from values import FakeVariants, outcome

from taskgen import engine
from taskgen.errors import BootError
from taskgen.interfaces import FailureClass
from taskgen.queue import JobSpec


def test_every_variant_has_one_result_and_every_machine_is_stopped():
    async def main():
        world = await World.made_with()
        await world.run()
        assert good(world) == list(range(6))
        assert world.queue.counts.done == 6
        assert 1 <= world.made <= 3
        assert world.most_booting <= 2

    asyncio.run(main())


def test_a_machine_that_dies_is_replaced_and_its_run_is_repeated():
    class Dying(World):
        deaths = 0

        async def execute(self, machine, run):
            if run.attempt == 1 and run.variant.index in (1, 4):
                self.deaths += 1
                machine.usable = False
                return outcome(FailureClass.MACHINE)
            return outcome()

    async def main():
        world = await Dying.made_with(limit=1)
        await world.run()
        assert good(world) == list(range(6))
        assert (world.deaths, world.made) == (2, 3)
        assert world.queue.counts.failed_attempts == 2

    asyncio.run(main())


def test_a_variant_that_always_fails_is_given_up_and_the_others_go_on():
    class Failing(World):
        async def execute(self, machine, run):
            return outcome(FailureClass.TASK if run.variant.index == 2 else None)

    async def main():
        world = await Failing.made_with()
        await world.run()
        assert good(world) == [0, 1, 3, 4, 5]
        assert world.told == [("bad", 2, 3)]
        assert world.queue.counts.bad == 1

    asyncio.run(main())


def test_draining_finishes_what_is_running_and_leaves_the_rest():
    class Draining(World):
        async def execute(self, machine, run):
            self.engine.drain()
            self.pool.drain()
            await asyncio.sleep(0)
            return outcome()

    async def main():
        world = await Draining.made_with(limit=1)
        await world.run()
        assert good(world) == [0]
        assert world.queue.counts.left == 5

    asyncio.run(main())


def test_draining_while_machines_boot_stops_them_at_once():
    class Stuck(World):
        async def boot(self):
            self.pool.drain()
            await asyncio.Event().wait()

    async def main():
        world = await Stuck.made_with()
        await world.run()
        assert world.results == []

    asyncio.run(main())


def test_cancelling_pushes_the_run_back_and_reports_it():
    class Cancelled(World):
        async def execute(self, machine, run):
            self.task.cancel()
            await asyncio.Event().wait()

    async def main():
        world = await Cancelled.made_with(limit=1)
        world.task = asyncio.create_task(world.run())
        with pytest.raises(asyncio.CancelledError):
            await world.task
        assert world.told == [("stop", 0)]
        assert world.queue.counts.left == 6
        assert world.queue.counts.running == 0

    asyncio.run(main())


def test_boots_that_keep_failing_end_the_fleet_with_the_reason(monkeypatch):
    monkeypatch.setattr("taskgen.boot_failures.LONGEST_REST_S", 0.0)

    class Broken(World):
        async def boot(self):
            raise BootError("taskgen-1: no console output for 20 s")

    async def main():
        world = await Broken.made_with(boots_at_once=1)
        with pytest.raises(BootError, match="no console output"):
            await world.run()
        assert world.made == 3

    asyncio.run(main())


def test_a_boot_that_fails_once_is_tried_again_and_told_with_its_console(monkeypatch, caplog):
    monkeypatch.setattr("taskgen.boot_failures.LONGEST_REST_S", 0.0)

    class Flaky(World):
        boots = 0

        async def boot(self):
            self.boots += 1
            if self.boots == 1:
                raise BootError("taskgen-1: no lease", console="one\ntwo")

    async def main():
        world = await Flaky.made_with()
        await world.run()
        assert good(world) == list(range(6))

    asyncio.run(main())
    assert "taskgen-1: no lease\n    | one\n    | two" in caplog.text


def test_lowering_the_limit_retires_the_highest_machine_after_its_run():
    class Shrinking(World):
        async def execute(self, machine, run):
            if len(self.served) == 2:
                self.pool.limit = 1
            await asyncio.sleep(0)
            return outcome(target=machine.name)

    async def main():
        world = await Shrinking.made_with(variants=40, limit=2)
        await world.run()
        assert good(world) == list(range(40))
        assert world.served == ["taskgen-1", "taskgen-2"]

    asyncio.run(main())


def test_no_more_machines_come_than_there_is_room_for_and_less_room_retires_the_highest():
    class Cramped(World):
        def __init__(self, *args, **keys):
            super().__init__(*args, **keys)
            self.used = []

        async def execute(self, machine, run):
            self.used.append(machine.name)
            if len(self.served) == 2:
                self.pool.room = replace(self.pool.room, memory_mb=1)
            await asyncio.sleep(0)
            return outcome(target=machine.name)

    async def main():
        world = await Cramped.made_with(variants=40, limit=3)
        world.pool.room = replace(world.pool.room, memory_mb=400)
        await world.run()
        assert good(world) == list(range(40))
        assert world.made == 2
        assert set(world.used) == {"taskgen-1", "taskgen-2"}
        assert set(world.used[-10:]) == {"taskgen-1"}

    asyncio.run(main())


def test_machines_come_as_soon_as_there_is_room_for_them():
    class Cramped(World):
        async def execute(self, machine, run):
            if len(self.served) < 3:  # the others are waited for
                self.pool.room = replace(self.pool.room, memory_mb=8192)
                await self.until(lambda: len(self.served) == 3)
            return outcome(target=machine.name)

    async def main():
        world = await Cramped.made_with(variants=40, limit=3)
        world.pool.room = replace(world.pool.room, memory_mb=1)
        await world.run()
        assert good(world) == list(range(40))
        assert sorted(world.served) == ["taskgen-1", "taskgen-2", "taskgen-3"]

    asyncio.run(main())


def test_a_limit_below_one_is_refused():
    async def main():
        world = await World.made_with()
        with pytest.raises(ValueError, match="at least 1, not 0"):
            world.pool.limit = 0
        await world.run()

    asyncio.run(main())


def test_a_bug_in_a_target_stops_the_engine_loudly():
    class Buggy(World):
        async def execute(self, machine, run):
            raise ZeroDivisionError

    async def main():
        world = await Buggy.made_with(limit=1)
        with pytest.raises(ExceptionGroup) as caught:
            await world.run()
        assert caught.group_contains(ZeroDivisionError)
        assert world.queue.counts.running == 0

    asyncio.run(main())


def test_a_standing_pool_takes_new_work_with_the_machines_it_has():
    async def main():
        world = await World.made_with(variants=2, limit=1, standing=True, idle_s=60)
        running = asyncio.create_task(world.run())
        while world.queue.counts.done < 2:
            await world.queue.changed()
        await world.queue.add(JobSpec(FakeVariants(3, 3)))
        while world.queue.counts.done < 5:
            await world.queue.changed()
        assert world.made == 1
        world.pool.drain()
        await running

    asyncio.run(main())


def test_a_machine_without_work_goes_after_a_while_and_comes_back_for_more():
    async def main():
        world = await World.made_with(variants=2, limit=1, standing=True, idle_s=0.01)
        running = asyncio.create_task(world.run())
        while world.queue.counts.done < 2:
            await world.queue.changed()
        await world.pool.emptied()
        assert world.stopped == 1
        await world.queue.add(JobSpec(FakeVariants(1, 1)))
        while world.queue.counts.done < 3:
            await world.queue.changed()
        assert world.made == 2
        world.pool.drain()
        await running

    asyncio.run(main())


def test_pausing_finishes_the_runs_and_resuming_goes_on():
    class Pausing(World):
        async def execute(self, machine, run):
            if run.variant.index == 1:
                self.pool.pause()
                self.paused.set()
            await asyncio.sleep(0)
            return outcome(target=machine.name)

    async def main():
        world = await Pausing.made_with(limit=1)
        world.paused = asyncio.Event()
        running = asyncio.create_task(world.run())
        await world.paused.wait()
        await world.pool.emptied()
        assert world.queue.counts.done == 2
        world.pool.resume()
        await running
        assert good(world) == list(range(6))

    asyncio.run(main())


def test_killing_the_machines_pushes_their_runs_back():
    class Killed(World):
        killed = False

        async def execute(self, machine, run):
            if not self.killed:
                self.killed = True
                self.pool.kill()
                await asyncio.Event().wait()
            return outcome(target=machine.name)

    async def main():
        world = await Killed.made_with(limit=1)
        await world.run()
        assert world.told == [("stop", 0)]
        assert good(world) == list(range(6))

    asyncio.run(main())


def test_the_runs_of_a_job_can_be_stopped_and_their_target_goes_on():
    class Stopping(World):
        async def execute(self, machine, run):
            if not self.stopping:
                self.stopping = asyncio.create_task(
                    self.engine.stop_job(run.job_id, "the user said so")
                )
                await asyncio.Event().wait()
            return outcome(target=machine.name)

    async def main():
        world = await Stopping.made_with(limit=1)
        world.stopping = None
        await world.run()
        await world.stopping
        assert world.told == [("stop", 0)]
        assert world.made == 1
        assert good(world) == list(range(6))

    asyncio.run(main())


def test_what_runs_have_left_is_tidied_up_once_nothing_runs(monkeypatch):
    tidied = asyncio.Event()
    running_then = []

    async def main():
        world = await World.made_with(variants=4, limit=2, standing=True, idle_s=60)

        def tidy():
            running_then.append(world.queue.counts.running)
            tidied.set()

        monkeypatch.setattr(engine, "tidy", tidy)
        working = asyncio.create_task(world.run())
        async with asyncio.timeout(30):
            await tidied.wait()
        world.engine.drain()
        world.pool.drain()
        await working

    monkeypatch.setattr(engine, "TIDY_S", 0.01)
    asyncio.run(main())
    assert set(running_then) == {0}

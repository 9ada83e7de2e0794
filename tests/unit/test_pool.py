"""One machine of a pool: killed, restarted, drained, adopted, left running, and told of."""

import asyncio

import pytest
from engine_world import FakeMachine, World, good
from values import outcome

from taskgen.errors import AdoptionError, StateError, UnknownMachineError
from taskgen.lifecycle import MachineState


class Acting(World):
    """Does something while the first run is carried out."""

    acted = False

    async def execute(self, machine, run):
        if not self.acted:
            self.acted = True
            await self.act(machine)
        await asyncio.sleep(0)
        return outcome(target=machine.name)


def play(world_class, **options):
    async def main():
        world = await world_class.made_with(**options)
        await world.run()
        assert good(world) == list(range(6))
        return world

    return asyncio.run(main())


def states(world, name):
    return [state for each, state in world.changes if each == name]


def test_a_killed_machine_gives_its_run_back_and_another_takes_its_place():
    class Killing(Acting):
        async def act(self, machine):
            self.pool.kill_machine(machine.name)
            await asyncio.Event().wait()

    world = play(Killing, limit=1)
    assert world.told == [("stop", 0)]
    assert world.made == 2


def test_a_restarted_machine_finishes_its_run_first():
    class Restarting(Acting):
        async def act(self, machine):
            self.pool.restart_machine(machine.name)
            assert [info.retiring for info in self.pool.info] == [True]

    world = play(Restarting, limit=1)
    assert world.told == []
    assert world.served == ["taskgen-1", "taskgen-1"]


def test_a_machine_that_boots_is_restarted_at_once():
    class Restarting(World):
        boots = 0

        async def boot(self):
            self.boots += 1
            if self.boots == 1:
                self.pool.restart_machine("taskgen-1")
                await asyncio.Event().wait()

    world = play(Restarting, limit=1)
    assert world.made == 2


def test_a_restarted_machine_comes_back_though_there_is_nothing_to_do():
    async def main():
        world = await World.made_with(limit=1, standing=True, idle_s=60)
        running = asyncio.create_task(world.run())
        while world.queue.counts.done < 6:
            await world.queue.changed()
        world.pool.restart_machine("taskgen-1")
        await world.until(lambda: states(world, "taskgen-1")[-2:] == ["booting", "ready"])
        world.pool.drain()
        await running

    asyncio.run(main())


def test_the_slot_of_a_drained_machine_stays_empty_until_it_is_restarted():
    class Draining(Acting):
        async def act(self, machine):
            if machine.name == "taskgen-1":
                self.pool.drain_machine(machine.name)

    async def main():
        world = await Draining.made_with(limit=1, standing=True, idle_s=60)
        running = asyncio.create_task(world.run())
        await world.until(lambda: ("taskgen-1", "held") in world.changes)
        held = world.pool.info
        assert [(info.name, info.state) for info in held] == [("taskgen-1", "held")]
        assert "restart it" in held[0].reason
        with pytest.raises(StateError, match="taskgen-1 cannot be killed: state is held"):
            world.pool.kill_machine("taskgen-1")
        world.pool.drain_machine("taskgen-1")  # as it is
        assert world.made == 1
        world.pool.restart_machine("taskgen-1")
        while world.queue.counts.done < 6:
            await world.queue.changed()
        world.pool.drain()
        await running
        assert world.told == []
        told = states(world, "taskgen-1")
        assert told[told.index("held") + 1] is None

    asyncio.run(main())


def test_more_boots_at_once_hold_while_others_boot():
    class Slow(World):
        async def boot(self):
            await self.released_to_boot.wait()

    async def main():
        world = await Slow.made_with(limit=3, boots_at_once=1)
        world.released_to_boot = asyncio.Event()
        running = asyncio.create_task(world.run())
        await world.until(lambda: states(world, "taskgen-1") == ["launching", "booting"])
        assert list(world.pool.machines) == [1]
        world.pool.boots_at_once = 2
        await world.until(lambda: states(world, "taskgen-2") == ["launching", "booting"])
        assert list(world.pool.machines) == [1, 2]
        world.released_to_boot.set()
        await running

    asyncio.run(main())


def test_a_name_that_no_machine_has_is_an_error():
    async def main():
        world = await World.made_with()
        for ask in (
            world.pool.kill_machine,
            world.pool.restart_machine,
            world.pool.drain_machine,
        ):
            with pytest.raises(UnknownMachineError, match="there is no machine 'taskgen-77'"):
                ask("taskgen-77")
        await world.run()

    asyncio.run(main())


def test_who_listens_is_told_each_state_and_the_end():
    world = play(World, limit=1)
    told = states(world, "taskgen-1")
    assert told[:4] == ["launching", "booting", "ready", "running"]
    assert told[-3:] == ["ready", "stopping", None]


def test_a_machine_that_fails_while_it_has_nothing_to_do_is_let_go():
    async def main():
        world = await World.made_with(limit=1, standing=True, idle_s=60)
        running = asyncio.create_task(world.run())
        while world.queue.counts.done < 6:
            await world.queue.changed()
        world.pool.machines[1].life.to(MachineState.FAILED)
        await world.pool.emptied()
        world.pool.drain()
        await running

    asyncio.run(main())


def adopted(world, *slots):
    for slot in slots:
        machine = FakeMachine(world, slot)
        world.made += 1
        world.pool.adopt(slot, machine, machine.adopt)


def test_adopted_machines_serve_and_only_what_is_missing_is_launched():
    async def main():
        world = await World.made_with(limit=3)
        adopted(world, 2, 3)
        await world.run()
        assert good(world) == list(range(6))
        for slot in (2, 3):
            assert states(world, f"taskgen-{slot}")[:2] == ["adopting", "ready"]
        assert "launching" not in states(world, "taskgen-2")

    asyncio.run(main())


def test_adopted_machines_that_have_nothing_to_do_wait_for_work_like_others():
    async def main():
        world = await World.made_with(variants=1, limit=3, standing=True, idle_s=60)
        adopted(world, 1, 2, 3)
        running = asyncio.create_task(world.run())
        names = [f"taskgen-{slot}" for slot in (1, 2, 3)]
        await world.until(lambda: all("ready" in states(world, name) for name in names))
        assert [info.retiring for info in world.pool.info] == [False] * 3
        assert world.stopped == 0
        world.pool.drain()
        await running

    asyncio.run(main())


@pytest.mark.parametrize("keep", [False, True])
def test_a_machine_that_is_being_adopted_is_not_waited_for_at_the_end(keep):
    class Slow(World):
        async def take_over(self, machine):
            self.pool.drain()
            await asyncio.Event().wait()

    async def main():
        world = await Slow.made_with(limit=1, keep=keep)
        adopted(world, 1)
        async with asyncio.timeout(60):
            await world.run()
        assert world.stopped == 1
        assert world.released == (["taskgen-1"] if keep else [])

    asyncio.run(main())


def test_one_that_cannot_be_adopted_is_stopped_and_replaced_and_told():
    class Dead(World):
        async def take_over(self, machine):
            raise AdoptionError("taskgen-1: its QEMU has ended while nobody watched it")

    async def main():
        world = await Dead.made_with(limit=1)
        adopted(world, 1)
        await world.run()
        assert good(world) == list(range(6))
        assert (world.made, world.stopped) == (2, 2)

    asyncio.run(main())


def test_more_adopted_machines_than_wished_are_retired():
    async def main():
        world = await World.made_with(limit=1)
        adopted(world, 1, 2, 3)
        await world.run()
        assert good(world) == list(range(6))
        assert {result[0] for result in world.changes if result[1] == "running"} == {"taskgen-1"}

    asyncio.run(main())


def test_machines_that_are_to_be_kept_are_left_running_after_their_runs():
    class Leaving(Acting):
        async def act(self, machine):
            self.keep = True
            self.engine.drain()
            self.pool.drain()

    async def main():
        world = await Leaving.made_with(limit=1)
        await world.run()
        assert good(world) == [0]
        assert world.released == ["taskgen-1"]
        assert world.told == []

    asyncio.run(main())


def test_machines_that_are_to_be_kept_are_left_running_also_in_a_hurry():
    class Leaving(Acting):
        async def act(self, machine):
            self.keep = True
            self.task.cancel()
            await asyncio.Event().wait()

    async def main():
        world = await Leaving.made_with(limit=1)
        world.task = asyncio.create_task(world.run())
        with pytest.raises(asyncio.CancelledError):
            await world.task
        assert world.released == ["taskgen-1"]
        assert world.told == [("stop", 0)]

    asyncio.run(main())

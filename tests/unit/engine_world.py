"""Machines without QEMU, in a world with engine, pool and queue."""

import asyncio
from contextlib import AsyncExitStack

from values import FakeVariants, outcome

from taskgen.audience import Audience
from taskgen.engine import Engine
from taskgen.events.handler import EventHandler
from taskgen.lifecycle import Lifecycle, MachineState
from taskgen.machine_info import MachineInfo
from taskgen.pool import Pool
from taskgen.queue import JobQueue, JobSpec
from taskgen.room import Room


class FakeMachine:
    """Has a machine's life, and does what its world says."""

    profile = "linux-x86_64"

    def __init__(self, world, slot):
        self.world = world
        self.name = f"taskgen-{slot}"
        self.slot = slot
        self.life = Lifecycle(self.name)
        self.usable = True
        self.released = False

    @property
    def state(self):
        return self.life.state

    @property
    def info(self):
        return MachineInfo(
            name=self.name,
            slot=self.slot,
            state=self.state,
            profile=self.profile,
            accelerator="tcg",
            mac="",
            tap="",
        )

    def on_change(self, callback):
        self.life.on_change(callback)

    async def adopt(self):
        self.life.to(MachineState.ADOPTING)
        await self.world.take_over(self)
        self.life.to(MachineState.READY)
        self.world.served.append(self.name)

    async def start(self):
        self.life.to(MachineState.LAUNCHING)
        self.life.to(MachineState.BOOTING)
        self.world.booting += 1
        self.world.most_booting = max(self.world.most_booting, self.world.booting)
        try:
            await self.world.boot()
        finally:
            self.world.booting -= 1
        self.life.to(MachineState.READY)
        self.world.served.append(self.name)

    async def execute(self, run, emit):
        self.life.to(MachineState.RUNNING)
        try:
            result = await self.world.execute(self, run)
        except asyncio.CancelledError:
            self.life.to(MachineState.READY)
            raise
        self.life.to(MachineState.READY if self.usable else MachineState.FAILED)
        return result

    async def stop(self):
        self.life.to(MachineState.STOPPING)
        await asyncio.sleep(0)
        self.life.to(MachineState.STOPPED)
        self.world.stopped += 1

    async def release(self):
        self.released = True
        self.world.released.append(self.name)
        await self.stop()


class World:
    @classmethod
    async def made_with(cls, variants=6, **keys):
        stack = AsyncExitStack()
        queue = await stack.enter_async_context(JobQueue.open())
        await queue.add(JobSpec(FakeVariants(variants, variants)))
        world = cls(queue, **keys)
        world.stack = stack
        return world

    def __init__(self, queue, *, limit=3, boots_at_once=2, standing=False, idle_s=0.0, keep=False):
        self.made, self.stopped, self.booting, self.most_booting = 0, 0, 0, 0
        self.served, self.results, self.told, self.released = [], [], [], []
        self.queue = queue
        world = self

        class Recorder(EventHandler):
            def on_finish(self, run):
                world.results.append((run.variant.index, run.outcome.failure))

            def on_stop(self, run, reason):
                world.told.append(("stop", run.variant.index))

            def on_bad(self, run, attempts):
                world.told.append(("bad", run.variant.index, len(attempts)))

        self.engine = Engine(self.queue, Audience([Recorder()]), idle_s=idle_s)
        self.pool = Pool(
            self.make,
            self.engine.serve,
            self.queue,
            profile="linux-x86_64",
            room=Room(slots=8, memory_mb=8192, guest_mb=96, qemu_mb=96),
            limit=limit,
            boots_at_once=boots_at_once,
            standing=standing,
            keep=lambda: self.keep,
        )
        self.keep = keep
        self.changes, self.change = [], asyncio.Event()
        self.pool.on_change(self.note)

    def make(self, slot):
        self.made += 1
        return FakeMachine(self, slot)

    def note(self, name, info):
        self.changes.append((name, info and info.state))
        self.change.set()

    async def until(self, happened):
        """Wait for the change of a machine that makes ``happened`` true."""
        async with asyncio.timeout(10):
            while not happened():
                self.change.clear()
                await self.change.wait()

    async def boot(self):
        await asyncio.sleep(0)

    async def take_over(self, machine):
        await asyncio.sleep(0)

    async def execute(self, machine, run):
        await asyncio.sleep(0)
        return outcome(target=machine.name)

    async def run(self):
        try:
            await asyncio.wait_for(self.pool.run(), 60)
        finally:
            await self.engine.close()
            await self.stack.aclose()
            assert self.pool.machines == {}
            assert self.stopped == self.made


def good(world):
    return sorted(index for index, failure in world.results if failure is None)

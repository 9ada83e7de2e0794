"""A fleet of ours that brings up machines until all of them are ready, as often as is asked for."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.tools.cpu import cpu_s
from benchmarks.tools.memory import pss_mb
from benchmarks.tools.rounds import tell
from benchmarks.tools.table import Line, paired
from taskgen.engine import Engine
from taskgen.interfaces import Counts, Outcome, Run, Target
from taskgen.local import LocalFleet
from taskgen.machine import Machine

#: Machines that go are looked at so often.
LOOK_AGAIN_S = 0.02


@dataclass(frozen=True)
class Boot:
    """One round.

    :ivar wall_s: from the launch of the first machine to the answer of the last.
    :ivar cpu_s: used until then.
    :ivar pss_mb: memory of all the QEMUs then, 10**6 bytes; of pages that they share, each its
        part.
    :ivar own_s: CPU as far as it was our own process's and not QEMU's.
    """

    wall_s: float
    cpu_s: float
    pss_mb: float
    own_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s, {self.cpu_s:.2f} CPU s"


async def boot(fleet: LocalFleet, machines: int) -> Boot:
    """Let a pool bring up so many machines until all are ready, and end them."""
    queue = Readiness(machines)
    engine = Engine(queue)
    pool = fleet.pool(engine, queue, limit=machines)
    own_s, began = time.process_time(), time.monotonic()
    async with asyncio.TaskGroup() as group:  # if cancelled, the pool still ends its machines
        group.create_task(pool.run())
        await queue.ready.wait()
        wall_s, own_s = time.monotonic() - began, time.process_time() - own_s
        pids = [m.qemu.pid for m in pool.machines.values() if isinstance(m, Machine)]
        qemus_s = sum(map(cpu_s, pids))
        qemus_mb = sum(map(pss_mb, pids))
        queue.release()
    return Boot(wall_s, qemus_s + own_s, qemus_mb, own_s)


def compared(
    name: str,
    floor: Sequence[Boot],
    ours: Sequence[Boot],
    *,
    time_goal: float,
    cpu_goal: float,
    prototype_s: float | None,
) -> list[Line]:
    """A line for the time and one for the CPU time of rounds that took turns.

    :param prototype_s: what the research prototypes take, in time.
    """
    own_s = statistics.median(each.own_s for each in ours)
    tell(f"{name}: {own_s:.3f} CPU s of ours are our own process's")
    return [
        paired(
            f"{name}: time",
            [each.wall_s for each in floor],
            [each.wall_s for each in ours],
            goal=time_goal,
            unit="s",
            prototype=prototype_s,
        ),
        paired(
            f"{name}: CPU time",
            [each.cpu_s for each in floor],
            [each.cpu_s for each in ours],
            goal=cpu_goal,
            unit="CPU s",
        ),
    ]


class Readiness:
    """A queue that holds no run, only machines back until so many have asked for one.

    A machine asks as soon as it is ready; what it then gets is nothing, but not the end.
    """

    def __init__(self, machines: int) -> None:
        self.ready = asyncio.Event()
        self._awaited = machines
        self._asked: set[str] = set()
        self._released = asyncio.Event()

    @property
    def counts(self) -> Counts:
        return Counts(
            total=self.backlog, queued=self.backlog, running=0, done=0, bad=0, failed_attempts=0
        )

    @property
    def backlog(self) -> int:
        return 0 if self._released.is_set() else self._awaited

    def backlog_for(self, profile: str) -> int:
        return self.backlog

    def join(self, target: Target) -> None:
        """All machines are treated alike."""

    def leave(self, target: Target) -> None:
        """All machines are treated alike."""

    async def claim(self, target: Target) -> Run | None:
        self._asked.add(target.name)
        if len(self._asked) == self._awaited:
            self.ready.set()
        return None

    async def settle(self, run: Run) -> Sequence[Outcome]:
        raise AssertionError("no run was handed out")

    async def push_back(self, run: Run) -> None:
        raise AssertionError("no run was handed out")

    async def changed(self) -> None:
        if self._released.is_set():
            await asyncio.sleep(LOOK_AGAIN_S)  # nothing changes any more; machines are on their way
        await self._released.wait()

    def release(self) -> None:
        """Let the machines go."""
        self._released.set()

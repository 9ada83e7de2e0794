"""Time and CPU from launch to the first AVAILABLE that is answered, for 1, 2 and 8 machines.

``python -m benchmarks.ready [--json FILE] [--quick]``, as root

The floor is bare QEMU with the same kernel, initramfs, memory and network card, as many at once,
started by a minimal script (``benchmarks/tools/bare.py``); ours is a fleet as ``taskgen run`` makes
it. Both have their network before anything is measured. A round of the floor and a round of ours
take turns, as in A B B A, and medians are compared. CPU is that of all the QEMUs until the last
answer, and for ours also that of our own process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.tools.cpu import cpu_s
from benchmarks.tools.table import Line, compare, parser, print_table, write_json
from taskgen import assets
from taskgen.engine import Engine
from taskgen.errors import TaskgenError
from taskgen.interfaces import Counts, Outcome, Run, Target
from taskgen.local import FleetPlan, LocalFleet, local_fleet
from taskgen.machine import Machine
from taskgen.profiles import load_profile
from taskgen.settings import FleetSettings, QemuSettings, Settings


@dataclass(frozen=True, kw_only=True)
class Case:
    """One number of machines.

    :ivar rounds: of the floor, and of ours.
    """

    machines: int
    rounds: int
    goal: float

    def __str__(self) -> str:
        return f"{self.machines} machine{'s' if self.machines > 1 else ''}"


CASES = (
    Case(machines=1, rounds=20, goal=1.05),
    Case(machines=2, rounds=8, goal=1.10),
    Case(machines=8, rounds=5, goal=1.10),
)

#: Machines that go are looked at so often.
LOOK_AGAIN_S = 0.02


@dataclass(frozen=True)
class Boot:
    """One round.

    :ivar wall_s: from the launch of the first machine to the answer of the last.
    :ivar cpu_s: used until then.
    :ivar own_s: as far as it was our own process and not QEMU.
    """

    wall_s: float
    cpu_s: float
    own_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.wall_s:.2f} s, {self.cpu_s:.2f} CPU s"


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    options = _options()
    if os.geteuid() != 0:
        sys.exit("benchmarks.ready: taps and namespaces need root")
    at_once = os.cpu_count() or 1
    # As Ctrl-C does: what is running is ended in order, and nothing is left behind.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with bare(options.profile, options.accelerator, at_once) as floor:
            lines = asyncio.run(_measure(options, floor, at_once))
    except TaskgenError as error:
        sys.exit(f"benchmarks.ready: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    print_table(f"launch to AVAILABLE, {options.accelerator}, {at_once} boots at once", lines)
    if options.json:
        write_json(options.json, lines)


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--profile", default="linux-x86_64", help="one that boots a kernel")
    made.add_argument("--accelerator", choices=("tcg", "kvm"), default="tcg")
    made.add_argument("--machines", type=int, action="append", help="only so many; repeatable")
    made.add_argument("--rounds", type=int, help="of each number of machines")
    return made.parse_args()


async def _measure(options: argparse.Namespace, floor: Floor, at_once: int) -> list[Line]:
    plan = FleetPlan(
        profile=load_profile(options.profile),
        settings=Settings(
            fleet=FleetSettings(boot_concurrency=at_once),
            qemu=QemuSettings(accelerator=options.accelerator),
        ),
    )
    lines = []
    async with local_fleet(plan) as fleet:
        for case in CASES:
            if options.machines and case.machines not in options.machines:
                continue
            rounds = options.rounds or (3 if options.quick else case.rounds)
            lines += await _case(case, rounds, fleet, floor)
    return lines


async def _case(case: Case, rounds: int, fleet: LocalFleet, floor: Floor) -> list[Line]:
    bare_boots: list[Boot] = []
    our_boots: list[Boot] = []
    for number in range(rounds):
        for which in "AB" if number % 2 == 0 else "BA":
            if which == "A":
                bare_boots.append(await asyncio.to_thread(floor.boot, case.machines))
            else:
                our_boots.append(await boot(fleet, case.machines))
        print(
            f"{case}, round {number + 1} of {rounds}: floor {bare_boots[-1]}, ours {our_boots[-1]}",
            file=sys.stderr,
        )
    own_s = statistics.median(each.own_s for each in our_boots)
    print(f"{case}: {own_s:.3f} CPU s of ours are our own process's", file=sys.stderr)
    return [
        compare(
            f"{case}: {what}",
            [getattr(each, key) for each in bare_boots],
            [getattr(each, key) for each in our_boots],
            goal=case.goal,
            unit=unit,
        )
        for what, key, unit in (("time", "wall_s", "s"), ("CPU time", "cpu_s", "CPU s"))
    ]


class Floor:
    """The process that boots bare QEMUs. Made by :func:`bare`."""

    def __init__(self, process: subprocess.Popen[str], at_once: int) -> None:
        self._process = process
        self._at_once = at_once

    def boot(self, machines: int) -> Boot:
        """Boot so many until all have answered, and end them."""
        assert self._process.stdin
        assert self._process.stdout
        print(machines, self._at_once, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the floor ended: status {self._process.wait()}")
        return Boot(**json.loads(answer))


@contextmanager
def bare(profile: str, accelerator: str, at_once: int) -> Iterator[Floor]:
    """What boots bare QEMUs, with its network, while in the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tools.bare", profile, accelerator],
        cwd=assets.root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # leaving it closes the pipes, which ends it, and waits
        yield Floor(process, at_once)


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
        qemus_s = sum(cpu_s(m.qemu.pid) for m in pool.machines.values() if isinstance(m, Machine))
        queue.release()
    return Boot(wall_s, qemus_s + own_s, own_s)


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


if __name__ == "__main__":
    main()

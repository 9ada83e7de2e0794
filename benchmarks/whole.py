"""The whole thing: a job of 200 short variants on 8 machines, from launch to the last result.

``python -m benchmarks.whole [--json FILE] [--quick]``, as root

The floor is an ideal that cannot be beaten: all sets take what one takes by itself, they are
shared equally by the machines, nothing lies between them, and all machines start at once, in the
time of one. A set by itself is measured with the bare client on a machine that has nothing else to
do, from ``START`` to the last ``JOBS_DONE``; a start as that of one machine by the same fleet. Ours
has queue and results on the disk. Machines are as ``taskgen run`` makes them: they start from the
template, which has been made before, with either way to reset them.

Sets of five seconds are short in this field: a set of ten tasks with periods of up to a second has
to run for some seconds until each was released a few times, and the prototypes slept for four
seconds between any two. Sets of one second are shown beside, with the same goal: what starts and
resets take weighs five times as much in them.

What is above the ideal is told part by part; the first four parts add up to it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.tools import prototype
from benchmarks.tools.bare_client import bare_client
from benchmarks.tools.fleets import CLEAR, SAVED, main_of, options_of, plan_of
from benchmarks.tools.parts import CpuMeter, Parts, mean_of, parts_of
from benchmarks.tools.rounds import tell
from benchmarks.tools.storm import boot
from benchmarks.tools.table import Line, compare
from benchmarks.tools.timed import Timed
from taskgen.engine import Engine
from taskgen.interfaces import Target
from taskgen.local import LocalFleet, local_fleet
from taskgen.machine import Machine
from taskgen.queue import JobQueue, JobSpec
from taskgen.taskset import TaskSet

#: Wall time, beside the ideal.
WALL = 1.15

VARIANTS, MACHINES = 200, 8

#: How long the sets last: of a task with two activations, which ends with its second period.
SPANS_MS = (5000, 1000)


@dataclass(frozen=True)
class Case:
    """One job.

    :ivar reset: what is done between two sets.
    """

    reset: str
    machines: int
    variants: int
    span_ms: int

    def __str__(self) -> str:
        sets = f"{self.variants} variants of {self.span_ms / 1000:g} s"
        return f"{sets} on {self.machines} machines, reset: {self.reset}"


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    made = options_of(__doc__)
    made.add_argument("--variants", type=int)
    made.add_argument("--machines", type=int)
    made.add_argument("--span-ms", type=int, action="append", help="of each set")
    made.add_argument("--reset", action="append", choices=[SAVED, CLEAR])
    options = made.parse_args()
    main_of(f"a whole job, {options.accelerator}", options, _measure)


async def _measure(options: argparse.Namespace) -> list[Line]:
    machines = options.machines or (2 if options.quick else MACHINES)
    variants = options.variants or (10 if options.quick else VARIANTS)
    rounds = options.rounds or (1 if options.quick else 2)
    spans_ms = options.span_ms or (SPANS_MS[1:] if options.quick else SPANS_MS)
    lines = []
    for reset in options.reset or (CLEAR, SAVED):
        async with local_fleet(plan_of(options, reset, cold=False)) as fleet:
            await boot(fleet, 1)  # the template is there now
            for span_ms in spans_ms:
                case = Case(reset, machines, variants, span_ms)
                lines.append(await _case(fleet, case, rounds))
    return lines


async def _case(fleet: LocalFleet, case: Case, rounds: int) -> Line:
    machines, variants, span_ms = case.machines, case.variants, case.span_ms
    span_s = await _own_span_s(fleet, span_ms)
    floor, ours, starts_s, parts = [], [], [], []
    for number in range(rounds):
        start_s = (await boot(fleet, 1)).wall_s
        floor.append(variants * span_s / machines + start_s)
        took = await _job(fleet, machines, variants, span_ms)
        ours.append(took.wall)
        starts_s.append(start_s)
        parts.append(took)
        tell(
            f"{case}, round {number + 1} of {rounds}: a set {span_s:.3f} s,"
            f" a start {start_s:.2f} s, ideal {floor[-1]:.2f} s, ours {ours[-1]:.2f} s"
        )
    line = compare(
        str(case),
        floor,
        ours,
        goal=WALL,
        unit="s",
        prototype=variants * (span_s + prototype.BETWEEN_SETS_S) / machines + prototype.BOOT_S,
    )
    sets_s = variants * span_s / machines
    mean = mean_of(parts)
    above = mean.above(start=statistics.fmean(starts_s), sets=sets_s)
    return replace(line, parts=above, note=mean.cpu)


def sweep(variants: int, span_ms: int) -> TaskSet:
    """A task-set with so many variants, which all last equally long."""
    return TaskSet(
        [
            {"pkg": "hey", "period": span_ms // 2, "numberofjobs": 2, "priority": 10},
            {"pkg": "hey", "period": 10, "priority": 20, "config": {"arg1": range(variants)}},
        ]
    )


async def _own_span_s(fleet: LocalFleet, span_ms: int, sets: int = 3) -> float:
    """Seconds of one set by itself, from ``START`` to the last ``JOBS_DONE``; the median."""
    spans_s: list[float] = []
    began = 0.0

    def started() -> None:
        nonlocal began
        began = time.monotonic()

    async with bare_client(fleet, "hey") as client:
        for variant in sweep(sets, span_ms).variants():
            await client.run(variant.description(), 2, on_start=started)
            spans_s.append(time.monotonic() - began)
    return statistics.median(spans_s)


class _TimedEngine(Engine):
    """An engine that notes when each machine's runs began and ended."""

    def __init__(self, queue: JobQueue) -> None:
        super().__init__(queue)
        self.timed: list[Timed] = []

    async def serve(self, target: Target, retire: asyncio.Event) -> None:
        assert isinstance(target, Machine)
        self.timed.append(timed := Timed(target))
        await super().serve(timed, retire)


async def _job(fleet: LocalFleet, machines: int, variants: int, span_ms: int) -> Parts:
    """From the launch of the first machine to the last result."""
    with tempfile.TemporaryDirectory() as folder:
        async with JobQueue.open(Path(folder) / "queue.db") as queue:
            job = await queue.add(JobSpec(sweep(variants, span_ms)))
            engine = _TimedEngine(queue)
            pool = fleet.pool(engine, queue, limit=machines)
            async with asyncio.TaskGroup() as group:
                meter, began = CpuMeter(), time.time()
                group.create_task(pool.run())
                await queue.wait_job(job)
                ended, own_s, cores_s = time.time(), meter.own_s(), meter.cores_s()
                busy = meter.busy_share()
            await engine.close()
            assert queue.counts.done == variants, queue.counts
            assert queue.counts.failed_attempts == 0, queue.counts
    runs = [each.spans for each in engine.timed if each.spans]
    parts = parts_of(runs, machines=machines, began=began, ended=ended)
    cpu_s = meter.children_s()  # all machines have ended by now
    return replace(parts, own_cpu=own_s, qemu_cpu=cpu_s, cores=cores_s, busy=busy)


if __name__ == "__main__":
    main()

"""What a machine loses between two runs: from the last JOBS_DONE received to the next START sent.

``python -m benchmarks.dead_time [--json FILE] [--quick]``, as root

- ``clear``: the floor is the bare client on the same machine, which sends ``CLEAR``, the next
  description and ``AVAILABLE`` at once and starts when that is echoed: the protocol's round trip.
- ``snapshot``: the floor is a cold boot of bare QEMU. Ours goes back to the saved state and sends
  the task binary and the description anew.

A round of the floor and a round of ours take turns, and what counts is their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.tools import prototype
from benchmarks.tools.bare_client import bare_client
from benchmarks.tools.bare_machines import bare
from benchmarks.tools.fleets import CLEAR, SAVED, main_of, options_of, plan_of
from benchmarks.tools.rounds import in_turn
from benchmarks.tools.table import Line, paired
from benchmarks.tools.timed import Timed
from taskgen.engine import Engine
from taskgen.local import LocalFleet, local_fleet
from taskgen.machine import Machine
from taskgen.queue import JobQueue, JobSpec
from taskgen.taskset import TaskSet

#: What may be lost, beside the floors above.
GOALS = {CLEAR: 2.0, SAVED: 0.20}


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    made = options_of(__doc__)
    made.add_argument("--reset", action="append", choices=(CLEAR, SAVED), help="only that")
    options = made.parse_args()
    main_of(f"dead time between two runs, {options.accelerator}", options, _measure)


async def _measure(options: argparse.Namespace) -> list[Line]:
    lines = []
    if not options.reset or CLEAR in options.reset:
        rounds = options.rounds or (2 if options.quick else 6)
        lines.append(await _clear(options, rounds, 20 if options.quick else 50))
    if not options.reset or SAVED in options.reset:
        rounds = options.rounds or (2 if options.quick else 10)
        lines.append(await _snapshot(options, rounds, 5))
    return lines


async def _clear(options: argparse.Namespace, rounds: int, runs: int) -> Line:
    async with local_fleet(plan_of(options)) as fleet:
        # Both on a machine that has just booted.
        floor, ours = await in_turn(
            rounds,
            partial(_bare_waits_ms, fleet, runs),
            partial(_our_waits_ms, fleet, runs),
            what="clear, ms",
        )
    return paired(
        "clear: last JOBS_DONE to next START",
        [median(waits) for waits in floor],
        [median(waits) for waits in ours],
        goal=GOALS[CLEAR],
        unit="ms",
        prototype=prototype.BETWEEN_SETS_S * 1e3,
    )


async def _snapshot(options: argparse.Namespace, rounds: int, runs: int) -> Line:
    with bare(options.profile, options.accelerator, 1) as floor:
        async with local_fleet(plan_of(options, SAVED)) as fleet:
            machine = fleet.machine(1)
            try:
                await machine.start()
                cold, ours = await in_turn(
                    rounds,
                    partial(floor.boot, 1),
                    partial(_waits_ms, machine, runs),
                    what="snapshot, a cold boot and ms",
                )
            finally:
                await machine.stop()
    return paired(
        "snapshot: last JOBS_DONE to next START, beside a cold boot",
        [1e3 * boot.wall_s for boot in cold],
        [median(waits) for waits in ours],
        goal=GOALS[SAVED],
        unit="ms",
        prototype=prototype.BETWEEN_SETS_S * 1e3,
    )


def sweep(variants: int) -> TaskSet:
    """A task-set with so many variants, each of one activation."""
    return TaskSet([{"pkg": "hey", "period": 10, "priority": 10, "offset": range(variants)}])


async def _our_waits_ms(fleet: LocalFleet, runs: int) -> list[float]:
    machine = fleet.machine(1)
    try:
        await machine.start()
        return await _waits_ms(machine, runs)
    finally:
        await machine.stop()


async def _waits_ms(machine: Machine, runs: int) -> list[float]:
    timed = Timed(machine)
    with tempfile.TemporaryDirectory() as folder:
        async with JobQueue.open(Path(folder) / "queue.db") as queue:
            await queue.add(JobSpec(sweep(runs)))
            engine = Engine(queue)
            await engine.serve(timed, asyncio.Event())
            await engine.close()
    return [1e3 * each for each in timed.waited_s]


async def _bare_waits_ms(fleet: LocalFleet, runs: int) -> list[float]:
    """The same by the bare client."""
    waits: list[float] = []
    ended_at = 0.0

    def started() -> None:
        if ended_at:
            waits.append((time.time() - ended_at) * 1e3)

    async with bare_client(fleet, "hey") as client:
        for variant in sweep(runs).variants():
            await client.run(variant.description(), 1, on_start=started)
            ended_at = time.time()
    return waits


if __name__ == "__main__":
    main()

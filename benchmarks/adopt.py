"""Time in which an engine takes over the machines that the one before has left running.

``python -m benchmarks.adopt [--json FILE] [--quick]``, as root

Not beside a bare thing, since there is none: the floor is the time that is allowed for it. The
clock starts before the fleet is looked for, and again when its network is there; it stops when the
last machine has answered ``AVAILABLE`` to its new engine and could take a run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.tools.fleets import main_of, options_of, plan_of
from benchmarks.tools.rounds import tell
from benchmarks.tools.storm import Readiness
from benchmarks.tools.table import Line, within
from taskgen.engine import Engine
from taskgen.host.records import Kind
from taskgen.local import local_fleet
from taskgen.local_plan import FleetPlan

#: Seconds that are allowed for it, whatever the number of machines.
ALLOWED_S = 2.0


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    made = options_of(__doc__)
    made.add_argument("--machines", type=int, default=8)
    options = made.parse_args()
    main_of(f"machines taken over, {options.accelerator}", options, _measure)


async def _measure(options: argparse.Namespace) -> list[Line]:
    # A fleet that is one engine's alone ends with it; a daemon's goes on.
    plan = replace(
        plan_of(options),
        kind=Kind.DAEMON,
        name="taskgen-adopt",
        machines=Path(os.environ["TASKGEN_STATE"], "machines"),
    )
    rounds = options.rounds or (3 if options.quick else 7)
    await _work(plan, options.machines, keep=True)
    times = []
    for number in range(rounds):
        times.append(await _work(plan, options.machines, keep=number < rounds - 1))
        tell(
            "round {} of {}: {:.2f} s, of these {:.2f} with the network there, {:.2f} CPU s".format(
                number + 1, rounds, *times[-1]
            )
        )
    return [
        within(
            f"{options.machines} machines adopted, {what}",
            ALLOWED_S,
            [each[position] for each in times],
            unit="s",
        )
        for position, what in enumerate(("from the start", "with the network there"))
    ]


async def _work(plan: FleetPlan, machines: int, *, keep: bool) -> tuple[float, float, float]:
    """Bring up a fleet until all its machines are ready, and let it go.

    :returns: seconds until then: from the start, and from when its network was there; and our
        process's CPU, from the start.
    """
    began, own_s = time.monotonic(), time.process_time()
    async with local_fleet(plan, keep=lambda: keep) as fleet:
        network = time.monotonic()
        queue = Readiness(machines)
        pool = fleet.pool(Engine(queue), queue, limit=machines)
        async with asyncio.TaskGroup() as group:
            group.create_task(pool.run())
            await queue.ready.wait()
            ready, own_s = time.monotonic(), time.process_time() - own_s
            queue.release()
    return ready - began, ready - network, own_s


if __name__ == "__main__":
    main()

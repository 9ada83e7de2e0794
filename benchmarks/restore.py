"""Machines that start from a saved state instead of booting: 42 at once, in time and in CPU.

``python -m benchmarks.restore [--json FILE] [--quick] [--machines N]``, as root

The floor is as many cold boots of bare QEMU (``benchmarks/tools/bare.py``), as many at a time as
there are cores. Ours is a fleet as ``taskgen run`` makes it, which has had these machines before:
their states are saved. A round of the floor and a round of ours take turns, and medians are
compared. CPU is that of all the QEMUs until the last answer, and for ours also that of our own
process.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from functools import partial

from benchmarks.tools import prototype
from benchmarks.tools.bare_machines import bare
from benchmarks.tools.fleets import SAVED, STORM, main_of, options_of, plan_of
from benchmarks.tools.rounds import in_turn, tell
from benchmarks.tools.storm import boot
from benchmarks.tools.table import Line, compare
from taskgen.host.cores import whole_cores
from taskgen.local import local_fleet

#: What is to be reached, beside cold boots.
TIME, CPU = 0.30, 0.25


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    made = options_of(__doc__)
    made.add_argument("--machines", type=int)
    options = made.parse_args()
    main_of(f"start from a saved state, {options.accelerator}", options, _measure)


async def _measure(options: argparse.Namespace) -> list[Line]:
    machines = options.machines or (4 if options.quick else STORM)
    rounds = options.rounds or (2 if options.quick else 3)
    with bare(options.profile, options.accelerator, whole_cores()) as floor:
        async with local_fleet(plan_of(options, SAVED)) as fleet:
            tell(f"{machines} machines until their states are saved: {await boot(fleet, machines)}")
            cold, saved = await in_turn(
                rounds,
                lambda: asyncio.to_thread(floor.boot, machines),
                partial(boot, fleet, machines),
                what=f"{machines} machines",
            )
    own_s = statistics.median(each.own_s for each in saved)
    tell(f"{own_s:.3f} CPU s of ours are our own process's")
    return [
        compare(
            f"{machines} machines from saved state, beside cold boots: {what}",
            [getattr(each, key) for each in cold],
            [getattr(each, key) for each in saved],
            goal=goal,
            unit=unit,
            prototype=prototype.BOOT_S if key == "wall_s" else None,
        )
        for what, key, unit, goal in (
            ("time", "wall_s", "s", TIME),
            ("CPU time", "cpu_s", "CPU s", CPU),
        )
    ]


if __name__ == "__main__":
    main()

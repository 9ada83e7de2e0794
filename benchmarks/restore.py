"""As many machines as a fleet has slots: cold, and from a saved state, in time and in CPU.

``python -m benchmarks.restore [--json FILE] [--quick] [--machines N]``, as root

The floor is as many cold boots of bare QEMU (``benchmarks/tools/bare.py``), as many at a time as
there are cores. Ours is a fleet as ``taskgen run`` makes it: one whose machines boot, and one that
has had these machines before, so that their states are saved. A round of each takes its turn, and
what counts is the ratio to the floor. CPU is that of all the QEMUs until the last answer, and for
ours also that of our own process.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from benchmarks.tools import prototype
from benchmarks.tools.bare_machines import bare
from benchmarks.tools.fleets import CLEAR, SAVED, STORM, main_of, options_of, plan_of
from benchmarks.tools.rounds import all_in_turn, tell
from benchmarks.tools.storm import Boot, boot, compared
from benchmarks.tools.table import Line
from taskgen.host.cores import whole_cores
from taskgen.local import local_fleet

#: What may be needed of time and of CPU, beside cold boots of bare QEMU.
GOALS = {"cold": (1.10, 1.10), "from saved state": (0.30, 0.25)}


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    made = options_of(__doc__)
    made.add_argument("--machines", type=int)
    options = made.parse_args()
    main_of(f"many machines, cold and from a saved state, {options.accelerator}", options, _measure)


async def _measure(options: argparse.Namespace) -> list[Line]:
    machines = options.machines or (4 if options.quick else STORM)
    rounds = options.rounds or 2
    with bare(options.profile, options.accelerator, whole_cores()) as floor:
        async with (
            local_fleet(plan_of(options, CLEAR)) as cold,
            local_fleet(plan_of(options, SAVED)) as saved,
        ):
            tell(f"{machines} machines until their states are saved: {await boot(saved, machines)}")
            sides: Mapping[str, Callable[[], Awaitable[Boot]]] = {
                "floor": partial(floor.boot, machines),
                "cold": partial(boot, cold, machines),
                "from saved state": partial(boot, saved, machines),
            }
            boots = await all_in_turn(rounds, sides, what=f"{machines} machines")
    return [
        line
        for name, (time_goal, cpu_goal) in GOALS.items()
        for line in compared(
            f"{machines} machines {name}",
            boots["floor"],
            boots[name],
            time_goal=time_goal,
            cpu_goal=cpu_goal,
            prototype_s=prototype.BOOT_S,
        )
    ]


if __name__ == "__main__":
    main()

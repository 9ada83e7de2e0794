"""Memory of the host that each further machine takes, where all start from one template.

``python -m benchmarks.memory [--json FILE] [--quick]``, as root

What is measured is the QEMUs' proportional memory (PSS), in which a page that several share counts
in part for each: that of many machines less that of few, for each machine that is there more. The
floor is the same of bare QEMUs that have booted (``benchmarks/tools/bare.py``). It is taken when
the last machine has answered. What the daemon takes for each machine is in ``idle.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from functools import partial

from benchmarks.tools.bare_machines import bare
from benchmarks.tools.fleets import CLEAR, SAVED, main_of, options_of, plan_of
from benchmarks.tools.rounds import in_turn
from benchmarks.tools.storm import Boot, boot
from benchmarks.tools.table import Line, paired
from taskgen.host.cores import whole_cores
from taskgen.local import local_fleet

#: What is to be reached, beside bare QEMUs that have booted.
COLD, TEMPLATE = 1.10, 0.30

#: Machines that are there when the further ones come.
FEW = 2


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    made = options_of(__doc__)
    made.add_argument("--machines", type=int)
    options = made.parse_args()
    main_of(f"memory of a further machine, {options.accelerator}", options, _measure)


async def _measure(options: argparse.Namespace) -> list[Line]:
    many = options.machines or (4 if options.quick else 12)
    rounds = options.rounds or (1 if options.quick else 2)
    lines = []
    with bare(options.profile, options.accelerator, whole_cores()) as floor:
        for name, reset, goal in (
            ("cold", CLEAR, COLD),
            ("from a template, beside a cold one", SAVED, TEMPLATE),
        ):
            async with local_fleet(plan_of(options, reset)) as fleet:
                if reset == SAVED:
                    await boot(fleet, many)  # until the states are saved
                bare_mb, our_mb = await in_turn(
                    rounds,
                    _further(floor.boot, many),
                    _further(partial(boot, fleet), many),
                    what=f"{name}, MB",
                )
            lines.append(
                paired(
                    f"memory of a further machine, {name}", bare_mb, our_mb, goal=goal, unit="MB"
                )
            )
    return lines


def _further(start: Callable[[int], Awaitable[Boot]], many: int) -> Callable[[], Awaitable[float]]:
    """Measures what each machine takes beyond the first :data:`FEW`, MB."""

    async def measured() -> float:
        few_mb = (await start(FEW)).pss_mb
        return ((await start(many)).pss_mb - few_mb) / (many - FEW)

    return measured


if __name__ == "__main__":
    main()

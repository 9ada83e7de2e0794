"""Time and CPU from launch to the first AVAILABLE that is answered, for one machine and for two.

``python -m benchmarks.ready [--json FILE] [--quick]``, as root

The floor is bare QEMU with the same kernel, initramfs, memory and network card, as many at once,
started by a minimal script (``benchmarks/tools/bare.py``); ours is a fleet as ``taskgen run`` makes
it. Both have their network before anything is measured. A round of the floor and a round of ours
take turns, as in A B B A, and what counts is their ratio. CPU is that of all the QEMUs until the
last answer, and for ours also that of our own process. Eight machines are measured where
``--machines 8`` asks for them; 42 are in ``restore.py``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import partial

from benchmarks.tools import prototype
from benchmarks.tools.bare_machines import Floor, bare
from benchmarks.tools.fleets import main_of, options_of, plan_of
from benchmarks.tools.rounds import in_turn
from benchmarks.tools.storm import boot, compared
from benchmarks.tools.table import Line
from taskgen.host.cores import whole_cores
from taskgen.local import LocalFleet, local_fleet


@dataclass(frozen=True, kw_only=True)
class Case:
    """One number of machines.

    :ivar rounds: of the floor, and of ours, and so with ``--quick``; 0: only where ``--machines``
        asks for it, and then as many as ``--rounds`` says or :data:`ASKED_FOR`.
    """

    machines: int
    rounds: int
    quick_rounds: int
    goal: float

    def __str__(self) -> str:
        return f"{self.machines} machine{'s' if self.machines > 1 else ''}"


CASES = (
    Case(machines=1, rounds=30, quick_rounds=3, goal=1.05),
    Case(machines=2, rounds=6, quick_rounds=2, goal=1.10),
    Case(machines=8, rounds=0, quick_rounds=0, goal=1.10),
)

#: Rounds of a case that is asked for.
ASKED_FOR = 3


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    made = options_of(__doc__)
    made.add_argument("--machines", type=int, action="append", help="only so many; repeatable")
    options = made.parse_args()
    title = f"cold: launch to AVAILABLE, {options.accelerator}, {whole_cores()} boots at once"
    main_of(title, options, _measure)


async def _measure(options: argparse.Namespace) -> list[Line]:
    lines = []
    with bare(options.profile, options.accelerator, whole_cores()) as floor:
        async with local_fleet(plan_of(options)) as fleet:
            for case in CASES:
                if options.machines and case.machines not in options.machines:
                    continue
                quick = options.quick and not options.machines
                rounds = case.quick_rounds if quick else case.rounds
                if options.machines:
                    rounds = rounds or ASKED_FOR
                if rounds:
                    lines += await _case(case, options.rounds or rounds, fleet, floor)
    return lines


async def _case(case: Case, rounds: int, fleet: LocalFleet, floor: Floor) -> list[Line]:
    bare_boots, our_boots = await in_turn(
        rounds,
        partial(floor.boot, case.machines),
        partial(boot, fleet, case.machines),
        what=str(case),
    )
    return compared(
        str(case),
        bare_boots,
        our_boots,
        time_goal=case.goal,
        cpu_goal=case.goal,
        prototype_s=prototype.BOOT_S if case.machines == 1 else None,
    )


if __name__ == "__main__":
    main()

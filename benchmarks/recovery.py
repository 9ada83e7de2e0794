"""A QEMU that is killed: how soon that is noticed, and how soon its slot has a machine again.

``python -m benchmarks.recovery [--json FILE] [--quick]``, as root

The clock starts when ``SIGKILL`` is sent to the QEMU of an idle machine. It is noticed when the
pool is told that the machine has failed; that has a limit. From then on the machine is looked at,
removed, and another one is launched. The floor for that is an undisturbed start of one machine by
the same fleet, from the moment at which its pool begins: from a saved state, and cold. A second
line counts from the kill: there the time until it is noticed comes on top.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from dataclasses import dataclass
from functools import partial

from benchmarks.tools import prototype
from benchmarks.tools.fleets import CLEAR, SAVED, main_of, options_of, plan_of
from benchmarks.tools.rounds import in_turn
from benchmarks.tools.storm import Readiness, boot
from benchmarks.tools.table import Line, paired, within
from taskgen.engine import Engine
from taskgen.lifecycle import MachineState
from taskgen.local import LocalFleet, local_fleet
from taskgen.machine import Machine
from taskgen.machine_info import MachineInfo

NOTICED_MS = 50.0

#: Until the slot has a machine again, beside an undisturbed start.
AGAIN = 1.10

#: A start from a saved state is short, so the host's moods weigh more in it.
ROUNDS = {SAVED: 40, CLEAR: 9}


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    made = options_of(__doc__)
    made.add_argument("--reset", action="append", choices=(CLEAR, SAVED), help="only that")
    options = made.parse_args()
    main_of(f"a QEMU is killed, {options.accelerator}", options, _measure)


@dataclass(frozen=True)
class Recovery:
    """What came of one kill.

    :ivar noticed_ms: until the pool knew.
    :ivar again_s: from then until another machine was ready.
    """

    noticed_ms: float
    again_s: float

    def __str__(self) -> str:
        return f"noticed after {self.noticed_ms:.1f} ms, ready again {self.again_s:.2f} s later"


async def _measure(options: argparse.Namespace) -> list[Line]:
    wanted = options.reset or (CLEAR, SAVED)
    lines = []
    for reset, name in ((SAVED, "from saved state"), (CLEAR, "cold")):
        if reset not in wanted:
            continue
        rounds = options.rounds or (2 if options.quick else ROUNDS[reset])
        async with local_fleet(plan_of(options, reset)) as fleet:
            if reset == SAVED:
                await boot(fleet, 1)  # its state is saved now
            floor, ours = await in_turn(
                rounds, partial(_start_s, fleet), partial(_recovery, fleet), what=f"start {name}"
            )
        noticed_ms = [each.noticed_ms for each in ours]
        lines += [
            within(f"SIGKILL of a QEMU noticed ({name})", NOTICED_MS, noticed_ms, unit="ms"),
            *(
                paired(
                    f"ready again, from {when}, beside a start {name}",
                    floor,
                    taken_s,
                    goal=AGAIN,
                    unit="s",
                    prototype=prototype.BOOT_S,
                )
                for when, taken_s in {
                    "when it is noticed": [each.again_s for each in ours],
                    "the kill": [each.noticed_ms / 1e3 + each.again_s for each in ours],
                }.items()
            ),
        ]
    return lines


async def _start_s(fleet: LocalFleet) -> float:
    return (await boot(fleet, 1)).wall_s


async def _recovery(fleet: LocalFleet) -> Recovery:
    queue = Readiness(1)
    pool = fleet.pool(Engine(queue), queue, limit=1)
    failed, again = asyncio.Event(), asyncio.Event()
    killed_at = failed_at = again_at = 0.0

    def note(name: str, info: MachineInfo | None) -> None:
        nonlocal failed_at, again_at
        if not killed_at or info is None:
            return
        if info.state is MachineState.FAILED and not failed_at:
            failed_at = time.monotonic()
            failed.set()
        if info.state is MachineState.READY and failed_at:
            again_at = time.monotonic()
            again.set()

    pool.on_change(note)
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.run())
        await queue.ready.wait()
        (machine,) = pool.machines.values()
        assert isinstance(machine, Machine)
        killed_at = time.monotonic()
        os.kill(machine.qemu.pid, signal.SIGKILL)
        await failed.wait()
        await again.wait()
        queue.release()
    return Recovery((failed_at - killed_at) * 1e3, again_at - failed_at)


if __name__ == "__main__":
    main()

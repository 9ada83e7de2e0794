"""Time in which an engine takes over the machines that the one before has left running.

``python -m benchmarks.adopt [--json FILE] [--quick]``, as root

Not beside a bare thing, since there is none: the floor is the time that is allowed for it. The
clock starts before the fleet is looked for, and again when its network is there; it stops when the
last machine has answered ``AVAILABLE`` to its new engine and could take a run.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.tools.storm import Readiness
from benchmarks.tools.table import Line, compare, parser, report
from taskgen.engine import Engine
from taskgen.errors import TaskgenError
from taskgen.host.records import Kind
from taskgen.local import FleetPlan, local_fleet
from taskgen.profiles import load_profile
from taskgen.settings import QemuSettings, Settings

#: Seconds that are allowed for it, whatever the number of machines.
ALLOWED_S = 2.0


def main() -> int:
    """The exit status."""
    options = _options()
    # Below a directory that QEMU's user can enter.
    state = Path(tempfile.mkdtemp(prefix="taskgen-adopt-", dir="/run"))
    state.chmod(0o711)
    try:
        lines = asyncio.run(_measure(options, state / "machines"))
    except TaskgenError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(state)
    report("adopt", lines, options)
    return 0


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--accelerator", choices=("tcg", "kvm"), default="tcg")
    made.add_argument("--machines", type=int, default=8)
    made.add_argument("--rounds", type=int, default=0)
    return made.parse_args()


async def _measure(options: argparse.Namespace, machines: Path) -> list[Line]:
    plan = FleetPlan(
        profile=load_profile("linux-x86_64"),
        settings=Settings(qemu=QemuSettings(accelerator=options.accelerator)),
        kind=Kind.DAEMON,
        name="taskgen-adopt",
        machines=machines,
    )
    rounds = options.rounds or (3 if options.quick else 7)
    await _work(plan, options.machines, keep=True)
    times = []
    for number in range(rounds):
        times.append(await _work(plan, options.machines, keep=number < rounds - 1))
        print(f"round {number + 1} of {rounds}: {times[-1]}", file=sys.stderr)
    return [
        compare(
            f"{options.machines} machines adopted, {what}",
            [ALLOWED_S] * rounds,
            [each[position] for each in times],
            goal=1.0,
            unit="s",
        )
        for position, what in enumerate(("from the start", "with the network there"))
    ]


async def _work(plan: FleetPlan, machines: int, *, keep: bool) -> tuple[float, float]:
    """Bring up a fleet until all its machines are ready, and let it go.

    :returns: seconds until then: from the start, and from when its network was there.
    """
    began = time.monotonic()
    async with local_fleet(plan, keep=lambda: keep) as fleet:
        network = time.monotonic()
        queue = Readiness(machines)
        pool = fleet.pool(Engine(queue), queue, limit=machines)
        async with asyncio.TaskGroup() as group:
            group.create_task(pool.run())
            await queue.ready.wait()
            ready = time.monotonic()
            queue.release()
    return ready - began, ready - network


if __name__ == "__main__":
    sys.exit(main())

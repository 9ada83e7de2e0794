"""What a daemon costs beside machines that have nothing to do: its CPU, and its memory for each.

``python -m benchmarks.idle [--json FILE] [--quick] [--machines N]``, as root

- CPU of the daemon with 42 idle machines; the floor is what their QEMUs use in the same time.
- Memory of the daemon with 42 machines less that with eight, for each of the 34; beside a limit.

All of it in a network and a ``/run`` of its own.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.tools.cpu import cpu_s
from benchmarks.tools.daemon import DaemonProcess
from benchmarks.tools.fleets import STORM, in_own_world, options_of
from benchmarks.tools.machines import launched, worked_off
from benchmarks.tools.memory import own_mb
from benchmarks.tools.rounds import tell
from benchmarks.tools.table import Line, paired, report, within

#: The daemon's CPU, as a part of what the idle QEMUs use.
CPU = 1 / 50

#: Of the daemon's memory, for each machine, kB.
MEMORY_KB = 100.0

#: Machines that have been there before what a further one takes is measured: the first ones also
#: fill the holes that the daemon's start has left in its memory, and load what it had not needed.
BEFORE = 8

#: Seconds for what the daemon does once nothing runs any more.
SETTLING_S = 3

#: Runs of those that are ready while others boot, ms.
RUN_MS = 8000


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    made = options_of(__doc__)
    made.add_argument("--machines", type=int, help="idle ones")
    options = made.parse_args()
    machines = options.machines or (4 if options.quick else STORM)
    rounds = options.rounds or (3 if options.quick else 8)
    with in_own_world("idle") as folder:
        lines = _measure(folder, options, machines, rounds)
    report(f"a daemon beside {machines} idle machines, {options.accelerator}", lines, options)


def _measure(folder: Path, options: argparse.Namespace, machines: int, rounds: int) -> list[Line]:
    before = min(BEFORE, machines // 2)
    settings = (
        f'[fleet]\nprofile = "{options.profile}"\nmax_machines = {before}\n'
        f'idle_timeout_s = 36000\n[qemu]\naccelerator = "{options.accelerator}"\n'
    )
    with DaemonProcess(folder, settings) as daemon:
        daemon.start()
        launched(daemon, before)
        worked_off(daemon, machines)  # what runs take once, not what each machine takes
        few_mb = _memory_mb(daemon, rounds)
        daemon.client.set_max_machines(machines)
        launched(daemon, machines, run_ms=RUN_MS)
        worked_off(daemon, machines)
        many_mb = _memory_mb(daemon, rounds)
        pids = [machine.pid for machine in daemon.client.machines() if machine.pid]
        assert len(pids) == machines, pids
        qemus, ours = _cpu_percent(daemon, pids, rounds, 3 if options.quick else 10)
    tell(f"memory of the daemon: {few_mb} MB, with {machines} machines {many_mb} MB")
    each_kb = [
        1e3 * (many - few) / (machines - before) for few, many in zip(few_mb, many_mb, strict=True)
    ]
    return [
        paired(
            f"{machines} idle machines: CPU of the daemon, beside their QEMUs'",
            *(qemus, ours),
            goal=CPU,
            unit="% of a core",
        ),
        within("memory of the daemon for each machine", MEMORY_KB, each_kb, unit="kB"),
    ]


def _memory_mb(daemon: DaemonProcess, rounds: int) -> list[float]:
    """Over some seconds, after those in which the daemon does what the last run left."""
    time.sleep(SETTLING_S)
    found = []
    for _ in range(rounds):
        time.sleep(1)
        found.append(own_mb(daemon.pid))
    return found


def _cpu_percent(
    daemon: DaemonProcess, pids: list[int], rounds: int, round_s: float
) -> tuple[list[float], list[float]]:
    """Of the QEMUs together, and of the daemon, in the same time."""
    qemus, ours = [], []
    for number in range(rounds):
        began, before, own = time.monotonic(), sum(map(cpu_s, pids)), cpu_s(daemon.pid)
        time.sleep(round_s)
        percent = 100 / (time.monotonic() - began)
        qemus.append((sum(map(cpu_s, pids)) - before) * percent)
        ours.append((cpu_s(daemon.pid) - own) * percent)
        tell(f"idle, round {number + 1}: QEMUs {qemus[-1]:.2f} %, daemon {ours[-1]:.4f} %")
    return qemus, ours


if __name__ == "__main__":
    main()

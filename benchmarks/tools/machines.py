"""Real machines of a daemon: have them launched, and wait until all of them serve."""

from __future__ import annotations

import time

from benchmarks.tools.daemon import PATIENCE_S, DaemonProcess
from taskgen.errors import DaemonUnreachableError
from taskgen.taskset import TaskSet

#: States in which a machine can carry out runs, or does.
SERVES = ("ready", "running")

#: Seconds between two looks at a daemon: while it is being started, and while machines boot.
RETRY_S, BOOTING_S = 0.01, 0.25

#: Seconds that the boot of one machine may take, however busy the host is.
BOOT_PATIENCE_S = 15


def launched(daemon: DaemonProcess, number: int, *, run_ms: int = 200) -> None:
    """Have so many machines launched; they are idle when this returns.

    :param run_ms: of each run that those carry out which are ready before the last one: where many
        boot, long ones leave them the cores.
    """
    task = {"pkg": "hey", "period": run_ms, "numberofjobs": 2, "priority": list(range(1, 51))}
    job = daemon.client.add_job(TaskSet([task]), repeat=1000)
    patience_s = PATIENCE_S + BOOT_PATIENCE_S * number
    serving(daemon, number, retry_s=BOOTING_S, patience_s=patience_s)
    daemon.client.pause_job(job.id)  # to cancel it at once would end what is being uploaded
    serving(daemon, number, states=("ready",), retry_s=BOOTING_S)
    daemon.client.cancel_job(job.id)


def worked_off(daemon: DaemonProcess, runs: int) -> None:
    """Have the machines that there are carry out so many short runs.

    :raises RuntimeError: if that takes too long.
    """
    task = {"pkg": "hey", "period": 10, "priority": list(range(1, runs + 1))}
    job = daemon.client.add_job(TaskSet([task]))
    deadline = time.monotonic() + PATIENCE_S
    while daemon.client.job(job.id).state != "done":
        if time.monotonic() > deadline:
            raise RuntimeError(f"{runs} runs are not through after {PATIENCE_S} s")
        time.sleep(RETRY_S)


def serving(
    daemon: DaemonProcess,
    number: int,
    states: tuple[str, ...] = SERVES,
    *,
    retry_s: float = RETRY_S,
    patience_s: float = PATIENCE_S,
) -> float:
    """Wait until so many machines are in one of ``states``; the moment, by ``time.monotonic``.

    The daemon may not answer yet.

    :raises RuntimeError: if that takes too long.
    """
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if daemon.process and daemon.process.poll() is not None:
            raise RuntimeError(f"the daemon has ended: {daemon.said[-3:]}")
        try:
            now = {machine.name: machine.state for machine in daemon.client.machines()}
        except DaemonUnreachableError:
            time.sleep(retry_s)
            continue
        if sum(state in states for state in now.values()) >= number:
            return time.monotonic()
        time.sleep(retry_s)
    raise RuntimeError(f"not {number} machines after {patience_s} s: {now}")

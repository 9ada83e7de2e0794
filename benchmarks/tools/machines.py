"""Real machines of a daemon: have them launched, and wait until all of them serve."""

from __future__ import annotations

import time

from benchmarks.tools.daemon import PATIENCE_S, DaemonProcess
from taskgen.errors import DaemonUnreachableError
from taskgen.taskset import TaskSet

#: States in which a machine can carry out runs, or does.
SERVES = ("ready", "running")

#: Seconds between two tries to reach a daemon that is being started.
RETRY_S = 0.01


def launched(daemon: DaemonProcess, number: int) -> None:
    """Have so many machines launched; they are idle when this returns."""
    task = {"pkg": "hey", "period": 200, "priority": list(range(1, 51))}
    job = daemon.client.add_job(TaskSet([task]), repeat=1000)
    serving(daemon, number)
    daemon.client.pause_job(job.id)  # to cancel it at once would end what is being uploaded
    serving(daemon, number, states=("ready",))
    daemon.client.cancel_job(job.id)


def serving(daemon: DaemonProcess, number: int, states: tuple[str, ...] = SERVES) -> float:
    """Wait until so many machines are in one of ``states``; the moment, by ``time.monotonic``.

    The daemon may not answer yet.

    :raises RuntimeError: if that takes too long.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if daemon.process and daemon.process.poll() is not None:
            raise RuntimeError(f"the daemon has ended: {daemon.said[-3:]}")
        try:
            now = {machine.name: machine.state for machine in daemon.client.machines()}
        except DaemonUnreachableError:
            time.sleep(RETRY_S)
            continue
        if sum(state in states for state in now.values()) >= number:
            return time.monotonic()
        time.sleep(RETRY_S)
    raise RuntimeError(f"not {number} machines after {PATIENCE_S} s: {now}")

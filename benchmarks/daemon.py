"""What the daemon costs, how soon it answers, and how soon the next one goes on.

``python -m benchmarks.daemon [--json FILE] [--quick] [--no-machines]``, as root

- CPU and memory of a daemon with nothing, 8 and 42 idle fake boards, and with 64 busy ones.
- ``GET /v1/status``, idle and while 64 boards are busy. The floor is a bare uvicorn and Starlette
  that answer a constant of the same size (``benchmarks/tools/http.py``).
- The event stream with ten listeners, one of which has stopped reading: what the runs cost more.
- ``kill -9`` of a daemon with 8 real machines, and the next one: until all 8 are ready again.

All of it in a network and a ``/run`` of its own. Boards and listeners are other processes, so what
they need is not the daemon's. Lines with a limit compare with that; the others with the floor.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.tools.cpu import cpu_s, waited_s
from benchmarks.tools.daemon import PATIENCE_S, DaemonProcess
from benchmarks.tools.fakes import fakes
from benchmarks.tools.fleets import in_own_world
from benchmarks.tools.http import Requests, bare_server
from benchmarks.tools.listeners import listeners
from benchmarks.tools.machines import launched, serving
from benchmarks.tools.memory import pss_mb
from benchmarks.tools.rounds import tell
from benchmarks.tools.table import Line, paired, parser, report, within
from taskgen.resources import Job
from taskgen.taskset import TaskSet

#: Goals, in the units of their lines.
IDLE_CPU_PERCENT, IDLE_MEMORY_MB = 0.5, 80.0
P99_MS = 50.0
ADOPTION_S = 2.0
ANSWER = 4.0
#: What listeners may cost where the engine has all that one core gives it, and where it has not.
LISTENED_AT_FULL_SPEED, LISTENED = 1.5, 1.05
LISTENERS_MEMORY_MB = 24.0

IDLE = (0, 8, 42)
BUSY = 64
MACHINES = 8

#: How long a run of the busy boards takes, and in the case that leaves the engine time, ms.
SHORT_MS, LONG_MS = 10, 100


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    options = _options()
    lines: list[Line] = []
    with in_own_world("the daemon") as folder:
        for number in IDLE:
            lines += _idle(number, folder, options.quick)
        lines += _busy(folder, options.quick)
        lines += _listened(SHORT_MS, 12800, LISTENED_AT_FULL_SPEED, folder, options.quick)
        lines += _listened(LONG_MS, 3200, LISTENED, folder, options.quick)
        if not options.no_machines:
            lines += _adoption(folder, 3 if options.quick else 7)
    report("the daemon", lines, options)


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--no-machines", action="store_true", help="without real machines")
    return made.parse_args()


@contextmanager
def _daemon(folder: Path, boards: int, run_ms: int = 0) -> Iterator[DaemonProcess]:
    """A daemon that drives so many fake boards and has worked with all of them; without any it
    launches machines, of which it has none yet."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        own = Path(made)
        own.chmod(0o711)
        if boards == 0:
            with DaemonProcess(own, "[fleet]\nlaunch = true\n") as daemon:
                daemon.start()
                yield daemon
            return
        # A fake takes the time that a run's tasks declare, by this factor.
        with fakes(boards, time_scale=1.0 if run_ms else 0.0) as servers:
            addresses = ", ".join(f'"{address}"' for address in servers.addresses)
            settings = (
                f"[fleet]\nlaunch = false\n[hosts]\naddresses = [{addresses}]\n"
                f"port = {servers.port}\nfirst_contact = 'trust'\nconnect_s = 30\nanswer_s = 60\n"
            )
            with DaemonProcess(own, settings) as daemon:
                daemon.start()
                _work_off(daemon, boards * 8, run_ms)  # every board is found, nothing is new
                yield daemon


def _add(daemon: DaemonProcess, runs: int, run_ms: int) -> Job:
    tasks = [{"pkg": "hey", "period": run_ms or 10, "priority": list(range(1, 51))}]
    return daemon.client.add_job(
        TaskSet(tasks), repeat=-(-runs // 50), limit=runs, name="benchmark"
    )


def _work_off(daemon: DaemonProcess, runs: int, run_ms: int) -> float:
    """Seconds for so many runs."""
    began = time.perf_counter()
    job = _add(daemon, runs, run_ms)
    _until(lambda: daemon.client.job(job.id).state == "done", 0.1)
    done = daemon.client.job(job.id)
    assert done.counts.done == runs, done
    assert done.counts.failed_attempts == 0, done
    return time.perf_counter() - began


def _until(reached: Callable[[], bool], interval_s: float) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        if time.monotonic() > deadline:
            raise RuntimeError(f"still not so after {PATIENCE_S} s")
        time.sleep(interval_s)


# Idle.


def _idle(boards: int, folder: Path, quick: bool) -> list[Line]:
    cpu_percent, memory_mb = [], []
    with _daemon(folder, boards) as daemon:
        time.sleep(2)  # what the last run left to do
        for _ in range(3 if quick else 4):
            before, began = cpu_s(daemon.pid), time.monotonic()
            time.sleep(3 if quick else 6)
            used_s = cpu_s(daemon.pid) - before
            cpu_percent.append(100 * used_s / (time.monotonic() - began))
            memory_mb.append(pss_mb(daemon.pid))
        if boards:
            hosts = daemon.client.status().hosts
            assert hosts == {"serving": boards}, hosts
    what = f"{boards} idle boards" if boards else "nothing to do"
    tell(f"{what}: {cpu_percent} % of a core, {memory_mb} MB")
    return [
        within(f"{what}: CPU", IDLE_CPU_PERCENT, cpu_percent, unit="% of a core"),
        within(f"{what}: memory (PSS)", IDLE_MEMORY_MB, memory_mb, unit="MB"),
    ]


# Answers.


def _busy(folder: Path, quick: bool) -> list[Line]:
    requests = 200 if quick else 400
    lines = []
    with _daemon(folder, BUSY, SHORT_MS) as daemon:
        size = len(_Side(daemon.socket, "/v1/status").body)
        bare_path = daemon.run / "bare.sock"
        with bare_server(bare_path, size):
            bare, ours = _Side(bare_path, "/"), _Side(daemon.socket, "/v1/status")
            lines += _answers("idle", bare, ours, requests)
            job = _add(daemon, 10**9, SHORT_MS)
            _until(lambda: daemon.client.job(job.id).counts.running >= BUSY, 0.05)
            done, before = daemon.client.job(job.id).counts.done, cpu_s(daemon.pid)
            began = time.monotonic()
            waited = waited_s(daemon.pid)
            lines += _answers(f"{BUSY} busy boards", bare, ours, requests, compared=False)
            lasted_s, used_s = time.monotonic() - began, cpu_s(daemon.pid) - before
            waits = (waited_s(daemon.pid) - waited) / lasted_s
            runs = daemon.client.job(job.id).counts.done - done
            memory_mb = pss_mb(daemon.pid)
            daemon.client.cancel_job(job.id)
        tell(
            f"{BUSY} busy boards: {runs / lasted_s:.0f} runs per second,"
            f" {100 * used_s / lasted_s:.0f} % of a core, {memory_mb:.0f} MB; for"
            f" {100 * waits:.0f} % of the time it could have gone on but had no core"
        )
    return lines


class _Side:
    """One server of the two that are compared."""

    def __init__(self, path: Path, target: str) -> None:
        self._requests = Requests(path, target)
        _, self.body = self._requests.get()

    def round(self, requests: int) -> tuple[float, float, float]:
        """Median and 99th percentile in ms, and the whole in µs for each request."""
        took = sorted(self._requests.get()[0] * 1e3 for _ in range(requests))
        return statistics.median(took), took[requests * 99 // 100], sum(took) / requests * 1e3


def _answers(
    when: str, bare: _Side, ours: _Side, requests: int, *, compared: bool = True
) -> list[Line]:
    floor: list[tuple[float, float, float]] = []
    daemon: list[tuple[float, float, float]] = []
    for number in range(5):
        for which in "AB" if number % 2 == 0 else "BA":
            if which == "A":
                floor.append(bare.round(requests))
            else:
                daemon.append(ours.round(requests))
    rate = 1e6 / statistics.median(each for _, _, each in daemon)
    p50_ms = statistics.median(each for each, _, _ in daemon)
    bare_p99_ms = statistics.median(each for _, each, _ in floor)
    tell(
        f"GET /v1/status, {when}: {rate:.0f} per second, p50 {p50_ms:.2f} ms;"
        f" p99 of the bare server meanwhile {bare_p99_ms:.2f} ms"
    )
    name = f"GET /v1/status, {when}"
    lines = [within(f"{name}: p99", P99_MS, [d[1] for d in daemon], unit="ms")]
    if compared:
        lines.insert(
            0,
            paired(
                f"{name}: p50",
                [f[0] for f in floor],
                [d[0] for d in daemon],
                goal=ANSWER,
                unit="ms",
            ),
        )
    return lines


# Listeners.


def _listened(run_ms: int, runs: int, goal: float, folder: Path, quick: bool) -> list[Line]:
    alone: list[float] = []
    heard: list[float] = []
    grown_mb: list[float] = []
    missed = 0
    with _daemon(folder, BUSY, run_ms) as daemon:
        _work_off(daemon, runs, run_ms)
        for number in range(2 if quick else 5):
            for which in "AB" if number % 2 == 0 else "BA":
                if which == "A":
                    alone.append(runs / _work_off(daemon, runs, run_ms))
                    continue
                before_mb = pss_mb(daemon.pid)
                with listeners(daemon.socket, quick=9, slow=1) as there:
                    heard.append(runs / _work_off(daemon, runs, run_ms))
                    grown_mb.append(max(0.0, pss_mb(daemon.pid) - before_mb))
                    told = there.heard()
                missed += sum(resyncs for _, resyncs in told)
                complete = sum(finished == runs for finished, _ in told)
                tell(
                    f"runs of {run_ms} ms, runs per second: alone {alone[-1:]}, with ten listeners"
                    f" {heard[-1]:.0f}; {complete} of 9 were told all; told: {told}"
                )
    what = f"runs of {run_ms} ms on {BUSY} boards, ten listeners, one stalled"
    return [
        paired(
            f"{what}: time of a run",
            [1e6 / rate for rate in alone],
            [1e6 / rate for rate in heard],
            goal=goal,
            unit="µs",
        ),
        within(f"{what}: memory more", LISTENERS_MEMORY_MB, grown_mb, unit="MB"),
    ]


# Adoption.


def _adoption(folder: Path, rounds: int) -> list[Line]:
    settings = f"[fleet]\nmax_machines = {MACHINES}\nidle_timeout_s = 3600\n"
    took_s: list[float] = []
    with DaemonProcess(folder, settings) as daemon:
        daemon.start()
        launched(daemon, MACHINES)
        pids = {machine.name: machine.pid for machine in daemon.client.machines()}
        for _ in range(rounds):
            daemon.kill()
            began = daemon.launch()
            took_s.append(serving(daemon, MACHINES) - began)
            now = {machine.name: machine.pid for machine in daemon.client.machines()}
            assert now == pids, f"not adopted: {pids}, {now}"
            used_s = cpu_s(daemon.pid)
            tell(f"{MACHINES} machines adopted after {took_s[-1]:.2f} s, of CPU {used_s:.2f} s")
    name = f"kill -9, start again: until {MACHINES} machines are ready"
    return [within(name, ADOPTION_S, took_s, unit="s")]


if __name__ == "__main__":
    main()

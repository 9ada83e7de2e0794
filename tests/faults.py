"""What can go wrong under a daemon with machines at work: done to it on purpose, and timed."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fault_watch import Watch
from pyroute2 import IPRoute, netns

from benchmarks.tools.daemon import DaemonProcess
from benchmarks.tools.machines import launched
from taskgen.resources import EventKind, Job, Machine, StreamEvent
from taskgen.taskset import TaskSet

#: Seconds within which everything has to work again; other work may have the cores.
PATIENCE_S = 150

NAMESPACE, BRIDGE = "taskgen", "br0"

#: How long a run takes; and what it may take longer, which is when a guest that hangs is noticed.
RUN_MS, SLACK_S = 300, 2.0

SETTINGS = "[fleet]\nmax_machines = {machines}\n[run]\nslack_s = {slack_s}\n"


@dataclass(frozen=True)
class Suffered:
    """What came of one fault.

    :ivar noticed_s: until the daemon told of it; ``None``: there was nobody who could.
    :ivar recovered_s: until every machine had carried out a run that was begun after the fault.
    :ivar said: the first warning of the daemon, or what else it said of it.
    """

    noticed_s: float | None
    recovered_s: float
    said: str


class Scene:
    """A daemon with machines that have more than enough to do.

    :param runs: of the job that each fault meets.
    """

    def __init__(self, daemon: DaemonProcess, watch: Watch, *, machines: int, runs: int) -> None:
        self.daemon = daemon
        self.watch = watch
        self.machines = machines
        self.runs = runs
        self.endless: Job | None = None

    def begin(self) -> None:
        """Have the machines launched, and kept busy whatever else there is."""
        launched(self.daemon, self.machines)
        self.endless = self.add(10**6, priority=-1)

    def add(self, runs: int, **keys) -> Job:
        """Add a job of so many variants."""
        tasks = [{"pkg": "hey", "period": RUN_MS, "priority": list(range(1, 51))}]
        return self.daemon.client.add_job(
            TaskSet(tasks), limit=runs, repeat=-(-runs // 50), tries=3, **keys
        )

    def victim(self, job: Job) -> Machine:
        """A machine in the midst of a run of the job."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            for machine in self.daemon.client.machines():
                if machine.state == "running" and (machine.run or "").startswith(job.id):
                    return machine
            time.sleep(0.01)
        raise TimeoutError("no machine carries out a run of the job")

    def suffer(self, fault: Fault) -> Suffered:
        """Do it in the midst of a job, and wait until that has ended as it should."""
        job = self.add(self.runs, name="met by a fault")
        victim = self.victim(job)
        logged = len(self.daemon.entries)
        began = time.monotonic()
        fault.do(self, victim)
        noticed_s = None
        if fault.noticed:
            seen = self.watch.wait(lambda _, event: fault.noticed(victim, event), began, PATIENCE_S)
            noticed_s = seen - began
        recovered_s = self._recovered(began, restarted=fault.restarts) - began
        self.wait_done(job, self.runs)
        warnings = [
            str(entry["message"])
            for entry in self.daemon.entries[logged:]
            if fault.words in entry["message"]
        ]
        said = warnings[0].replace(str(self.daemon.run), "/run/taskgen") if warnings else ""
        return Suffered(noticed_s, recovered_s, said)

    def _recovered(self, since: float, *, restarted: bool) -> float:
        """The moment at which all machines serve, and nothing is wrong any more."""
        begun: set[str] = set()
        served: set[str] = set()

        def happened(moment: float, event: StreamEvent) -> bool:
            data = event.data
            if event.kind is EventKind.RUN_STARTED:
                begun.add(data["run"])
            # A daemon that was started again has begun all the runs of which it tells.
            elif (
                event.kind is EventKind.RUN_FINISHED
                and data["failure"] is None
                and (restarted or data["run"] in begun)
            ):
                served.add(data["target"])
            return len(served) >= self.machines

        moment = self.watch.wait(happened, since, PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        while problems := self.daemon.client.status().problems:
            assert time.monotonic() < deadline, problems
            time.sleep(0.02)
            moment = time.monotonic()
        return moment

    def wait_done(self, job: Job, runs: int) -> None:
        """Wait until a job has ended; it has exactly one result for each of its variants."""
        deadline = time.monotonic() + PATIENCE_S
        while (now := self.daemon.client.job(job.id)).state != "done":
            assert time.monotonic() < deadline, now
            time.sleep(0.02)
        assert (now.counts.done, now.counts.bad) == (runs, 0), now
        self.check_results(job, runs)

    def check_results(self, job: Job, runs: int | None = None) -> None:
        """Look that no variant of a job has two results, and each one that counts has one.

        :param runs: how many it must have; ``None``: as many as were done.
        """
        done = self.daemon.client.job(job.id).counts.done if runs is None else runs
        good = Counter(
            attempt.position
            for attempt in self.daemon.client.attempts(job=job.id)
            if attempt.failure is None
        )
        assert set(good.values()) <= {1}, good.most_common(3)
        assert sorted(good) == list(range(done)) if runs is not None else len(good) == done

    def end(self) -> None:
        """Stop the daemon in good order; nothing is left."""
        assert self.endless
        self.daemon.client.cancel_job(self.endless.id)
        self.check_results(self.endless)
        assert self.daemon.stop() == 0, self.daemon.said[-5:]
        machines, run = self.daemon.state / "machines", self.daemon.run
        left = [str(path) for place in (machines, run) for path in place.glob("*")]
        assert not left, left


@contextmanager
def scene_of(machines: int, runs: int) -> Iterator[Scene]:
    """A daemon with so many machines at work while in the block; nothing is left of it after."""
    with tempfile.TemporaryDirectory(prefix="taskgen-") as made:
        folder = Path(made)
        folder.chmod(0o711)  # the QEMU user passes through
        settings = SETTINGS.format(machines=machines, slack_s=SLACK_S)
        with DaemonProcess(folder, settings) as daemon:
            daemon.start()
            with Watch(daemon.socket) as watch:
                scene = Scene(daemon, watch, machines=machines, runs=runs)
                scene.begin()
                yield scene
                scene.end()


@dataclass(frozen=True)
class Fault:
    """One of them.

    :ivar name: for people.
    :ivar do: does it, to a machine that carries out a run if it is one of machines.
    :ivar noticed: whether an event tells of it; ``None``: nobody is there who could.
    :ivar words: in what the daemon says of it.
    :ivar restarts: whether the daemon is another one afterwards.
    """

    name: str
    do: Callable[[Scene, Machine], object]
    noticed: Callable[[Machine, StreamEvent], bool] | None
    words: str
    restarts: bool = False


def _kill_daemon(scene: Scene, victim: Machine) -> None:
    scene.daemon.kill()
    scene.daemon.start()


def _kill_dnsmasq(scene: Scene, victim: Machine) -> None:
    os.kill(_dnsmasq(scene.daemon.run), signal.SIGKILL)


def _signal(number: signal.Signals) -> Callable[[Scene, Machine], object]:
    def do(scene: Scene, victim: Machine) -> None:
        assert victim.pid
        os.kill(victim.pid, number)

    return do


def _delete_lease_file(scene: Scene, victim: Machine) -> None:
    (scene.daemon.run / "taskgen" / "dnsmasq.leases").unlink()


def _delete_link(name: str) -> None:
    """Delete a link of the fleet's namespace. Only a thread can go there and be gone after."""

    def inside() -> None:
        netns.setns(NAMESPACE)
        with IPRoute() as ipr:
            ipr.link("del", index=ipr.link_lookup(ifname=name)[0])

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()


def _dnsmasq(run: Path) -> int:
    """The pid of the fleet's DHCP server: it has its files in the fleet's directory."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"dnsmasq" in words.partition(b"\0")[0] and str(run).encode() in words:
            return int(entry.name)
    raise AssertionError("no dnsmasq")


def _lost(victim: Machine, event: StreamEvent) -> bool:
    """Whether an event says that a machine is of no use any more."""
    if event.data.get("name") != victim.name:
        return False
    if event.kind is EventKind.MACHINE_GONE:
        return True
    return event.kind is EventKind.MACHINE and event.data["state"] in ("failed", "stopping")


def _problem(key: str) -> Callable[[Machine, StreamEvent], bool]:
    return lambda _, event: event.kind is EventKind.PROBLEM and event.data["key"] == key


FAULTS = (
    Fault("kill -9 of the daemon, and its start", _kill_daemon, None, "adopted", restarts=True),
    Fault("kill -9 of a QEMU", _signal(signal.SIGKILL), _lost, "failed ("),
    Fault("SIGSTOP of a QEMU", _signal(signal.SIGSTOP), _lost, "failed ("),
    Fault("kill -9 of dnsmasq", _kill_dnsmasq, _problem("dhcp"), "dnsmasq"),
    Fault("a tap deleted", lambda _, victim: _delete_link(victim.tap), _lost, "failed ("),
    Fault("the bridge deleted", lambda *_: _delete_link(BRIDGE), _problem("bridge"), BRIDGE),
    Fault("the lease file deleted", _delete_lease_file, _problem("leases"), "leases"),
)

"""A daemon with machines at work, and what comes of a fault that meets it."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from fault_watch import Watch

from benchmarks.tools.daemon import DaemonProcess
from benchmarks.tools.machines import launched
from taskgen.resources import Diagnosis, EventKind, Job, Machine, StreamEvent
from taskgen.taskset import TaskSet

#: Seconds within which everything has to work again; other work may have the cores.
PATIENCE_S = 150

#: How long a run takes; and what it may take longer, which is when a guest that hangs is noticed.
RUN_MS, SLACK_S = 300, 2.0

#: Runs of a machine that a fault may spare, while it is there.
SPARED_RUNS = 20

SETTINGS = "[fleet]\nmax_machines = {machines}\n[run]\nslack_s = {slack_s}\n"

#: What goes wrong at a boot needs machines that boot.
BOOTS = "[snapshots]\ntemplates = false\n"


@dataclass(frozen=True)
class Suffered:
    """What came of one fault.

    :ivar noticed_s: until the daemon told of it; ``None``: there was nobody who could.
    :ivar recovered_s: until every machine had carried out a run that was begun after the fault.
    :ivar said: the first warning of the daemon, or what else it said of it.
    :ivar verdict: on the machine, by its key; empty: none was asked for.
    :ivar text: says it.
    :ivar evidence: what was seen, a line each.
    :ivar verdict_s: until that was told.
    :ivar failed: attempts at the job's runs that failed, and were repeated.
    """

    noticed_s: float | None
    recovered_s: float
    said: str
    verdict: str = ""
    text: str = ""
    evidence: tuple[str, ...] = ()
    verdict_s: float | None = None
    failed: int = 0


@dataclass(frozen=True)
class Fault:
    """One of them.

    :ivar name: for people.
    :ivar do: does it, to a machine that carries out a run if it is one of machines; a context
        manager, if it has to be undone once all that can be seen of it was seen.
    :ivar noticed: whether an event tells of it; ``None``: nobody is there who could.
    :ivar words: in what the daemon says of it.
    :ivar restarts: whether the daemon is another one afterwards.
    :ivar verdicts: keys, one of which is right; empty: it is none of a machine.
    :ivar spared: it may be that no run fails, and that there is no verdict then.
    """

    name: str
    do: Callable[[Scene, Machine], object]
    noticed: Callable[[Machine, StreamEvent], bool] | None = None
    words: str = ""
    restarts: bool = False
    verdicts: tuple[str, ...] = ()
    spared: bool = False


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
        self.notes: list[str] = []  #: what was measured of the last fault
        self.prepared: object = None  #: what was there before the daemon

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
        self.notes.clear()
        began, began_at = time.monotonic(), time.time()
        noticed_s, verdict_s, found = None, None, None
        with ExitStack() as undo:
            done = fault.do(self, victim)
            if isinstance(done, AbstractContextManager):
                undo.enter_context(done)
                began, began_at = time.monotonic(), time.time()
            if fault.noticed:
                seen = self.watch.wait(lambda _, e: fault.noticed(victim, e), began, PATIENCE_S)
                noticed_s = seen - began
            if fault.spared:
                self._wait_runs(victim.name, began)
            elif fault.verdicts:
                told, found = self._told(began, began_at)
                verdict_s = told - began
        since = began + (verdict_s or noticed_s or 0.0)  # before, the victim may not know it yet
        recovered_s = self._recovered(since, restarted=fault.restarts) - began
        self.wait_done(job, self.runs)
        attempts = list(self.daemon.client.attempts(job=job.id))
        if fault.spared:
            given = [each.diagnosis for each in attempts if each.diagnosis]
            found = given[0] if given else None
        if found:
            assert found.verdict in fault.verdicts, found
            noticed_s = found.at - began_at
        return Suffered(
            noticed_s,
            recovered_s,
            self._said(fault, logged),
            verdict=found.verdict if found else "",
            text=found.text if found else "",
            evidence=(*(found.evidence if found else ()), *self.notes),
            verdict_s=verdict_s,
            failed=sum(attempt.failure is not None for attempt in attempts),
        )

    def _wait_runs(self, name: str, since: float) -> None:
        """Wait until a machine has carried out :data:`SPARED_RUNS`, or one of them has failed."""
        served: list[StreamEvent] = []

        def happened(_: float, event: StreamEvent) -> bool:
            if event.kind is EventKind.RUN_FINISHED and event.data["target"] == name:
                served.append(event)
                return event.data["failure"] is not None or len(served) >= SPARED_RUNS
            return False

        self.watch.wait(happened, since, PATIENCE_S)

    def _told(self, since: float, since_at: float) -> tuple[float, Diagnosis]:
        """The next verdict on a machine, and the moment at which it is told."""
        found: list[Diagnosis] = []

        def happened(_: float, event: StreamEvent) -> bool:
            if event.kind is EventKind.MACHINE and (trouble := event.data["trouble"]):
                found.append(Diagnosis(**trouble))
            return bool(found) and found[-1].at >= since_at

        return self.watch.wait(happened, since, PATIENCE_S), found[-1]

    def _said(self, fault: Fault, logged: int) -> str:
        """What the daemon said of it first."""
        for entry in self.daemon.entries[logged:]:
            if fault.words and fault.words in entry["message"]:
                said = str(entry["message"]).replace(str(self.daemon.run), "/run/taskgen")
                return said.replace(str(self.daemon.state), "/var/lib/taskgen")
        return ""

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
def scene_of(
    machines: int,
    runs: int,
    *,
    boots: bool = False,
    before: Callable[[Path], AbstractContextManager[object]] | None = None,
) -> Iterator[Scene]:
    """A daemon with so many machines at work while in the block; nothing is left of it after.

    :param boots: whether each machine boots, instead of starting from the template.
    :param before: around the daemon's life, with the folder of its directories.
    """
    with tempfile.TemporaryDirectory(prefix="taskgen-") as made:
        folder = Path(made)
        folder.chmod(0o711)  # the QEMU user passes through
        settings = SETTINGS.format(machines=machines, slack_s=SLACK_S) + (BOOTS if boots else "")
        around = before(folder) if before else nullcontext()
        with around as prepared, DaemonProcess(folder, settings) as daemon:
            daemon.start()
            with Watch(daemon.socket) as watch:
                scene = Scene(daemon, watch, machines=machines, runs=runs)
                scene.prepared = prepared
                scene.begin()
                yield scene
                scene.end()

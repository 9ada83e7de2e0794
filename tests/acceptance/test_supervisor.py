"""The daemon under supervisor, by the file that lies beside the Makefile."""

import os
import re
import select
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from command import PATIENCE_S, TASKGEN, environment, taskgen
from daemon_world import asked, done, job_now, machines_now, until
from world import nothing_left

ROOT = Path(__file__).parents[2]
BIN = TASKGEN.parent


class Supervisor:
    """``supervisord`` with our file, whose logs lie in a directory of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.state = str(directory / "state")
        self.log = directory / "taskgend.log"
        self.file = directory / "supervisord.conf"
        text = (ROOT / "supervisord.conf").read_text()
        text = text.replace("%(here)s", str(ROOT)).replace("/var/log/", f"{directory}/")
        self.file.write_text(text)
        self.process = subprocess.Popen(
            [BIN / "supervisord", "--nodaemon", "-c", self.file],
            env=environment(TASKGEN_STATE=self.state, TASKGEN_FLEET__MAX_MACHINES="1"),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.wait_for("taskgend entered RUNNING state")

    def wait_for(self, text: str) -> None:
        """Read what supervisord says up to a line with ``text``."""
        patience = threading.Timer(PATIENCE_S, self.process.kill)
        patience.start()
        try:
            said = []
            for line in self.process.stdout:
                said.append(line)
                if text in line:
                    return
            raise AssertionError(f"ended without saying {text!r}: {''.join(said)}")
        finally:
            patience.cancel()

    def control(self, *words: str) -> str:
        """What ``supervisorctl`` says."""
        return subprocess.run(
            [BIN / "supervisorctl", "-c", self.file, *words],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        ).stdout

    def end(self) -> None:
        """Have it end the daemon, and itself."""
        patience = threading.Timer(PATIENCE_S, self.process.kill)
        patience.start()
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()
        patience.cancel()

    def until_ready(self) -> None:
        """Follow the daemon's log, as people do, until one that is ready now has said so."""
        pid = self.control("pid", "taskgend").strip()
        with subprocess.Popen(
            [BIN / "supervisorctl", "-c", self.file, "tail", "-f", "taskgend"],
            stdout=subprocess.PIPE,
            text=True,
        ) as tail:
            patience = threading.Timer(PATIENCE_S, tail.kill)
            patience.start()
            try:
                # What was said before comes first: an earlier daemon's word does not count.
                answers = (
                    taskgen("status", "--json") for line in tail.stdout if '"ready: ' in line
                )
                assert any(f'"pid": {pid}' in each.out for each in answers), self.log.read_text()
            finally:
                patience.cancel()
                tail.kill()


@pytest.fixture(scope="module")
def supervisor(own_world):
    with nothing_left(), tempfile.TemporaryDirectory(dir="/run") as directory:
        Path(directory).chmod(0o711)  # QEMU's user passes
        made = Supervisor(Path(directory))
        try:
            made.until_ready()
            yield made
        finally:
            made.end()
            done("down", TASKGEN_STATE=made.state)


@pytest.fixture(autouse=True)
def no_leftovers():
    """Machines outlive a test here: :func:`supervisor` looks at the end of the module."""


def machine():
    """The process of the one machine, once there is one that works."""
    until(lambda: machines_now("running"))
    return asked("machine", "show", "taskgen-1")["pid"]


def gone(pid):
    """Wait for the end of a process."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([process], [], [], PATIENCE_S)[0])
    finally:
        os.close(process)


@pytest.fixture(scope="module")
def job(supervisor):
    """One that goes on all the time: its id."""
    return done("job", "add", "example.Hey", "--set", "hey.priority=1..100", "-q").out.strip()


def test_a_restart_takes_another_daemon_and_the_same_machines(supervisor, job):
    before, pid = machine(), supervisor.control("pid", "taskgend")
    assert supervisor.control("restart", "taskgend") == "taskgend: stopped\ntaskgend: started\n"
    supervisor.until_ready()
    assert supervisor.control("pid", "taskgend") != pid
    results = job_now(job).counts.done
    until(lambda: job_now(job).counts.done > results)
    assert machine() == before
    assert job_now(job).counts.failed_attempts == 0
    assert asked("machine", "show", "taskgen-1")["adopted"]


def test_a_stop_leaves_the_machines_to_the_next_start(supervisor, job):
    before = machine()
    assert supervisor.control("stop", "taskgend") == "taskgend: stopped\n"
    assert taskgen("status").status == 3
    assert os.readlink(f"/proc/{before}/exe").endswith("qemu-system-x86_64")
    assert supervisor.control("start", "taskgend") == "taskgend: started\n"
    supervisor.until_ready()
    assert machine() == before


def test_a_daemon_that_is_killed_is_started_again(supervisor, job):
    before, pid = machine(), int(supervisor.control("pid", "taskgend"))
    os.kill(pid, signal.SIGKILL)
    supervisor.wait_for("terminated by SIGKILL; not expected")
    supervisor.wait_for("taskgend entered RUNNING state")
    supervisor.until_ready()
    assert int(supervisor.control("pid", "taskgend")) != pid
    assert machine() == before


def test_who_ends_the_daemon_itself_ends_the_machines_too(supervisor, job):
    before = machine()
    assert supervisor.control("signal", "TERM", "taskgend") == "taskgend: signalled\n"
    supervisor.wait_for("exit status 0; expected")
    assert gone(before)
    assert re.match(r"taskgend +EXITED ", supervisor.control("status"))
    supervisor.control("start", "taskgend")
    supervisor.until_ready()
    assert machine() != before

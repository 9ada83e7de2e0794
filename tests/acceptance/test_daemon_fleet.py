"""The fleet of a daemon while it works: its machines, their consoles, and what happens."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import environment, started, taskgen
from daemon_world import Terminal, asked, daemon, done, job_now, machines_now, no_leftovers, until

from taskgen.client import Client
from taskgen.resources import ConsoleLine, Fleet, Lease, Machine, Status, StreamEvent

__all__ = ["daemon", "no_leftovers"]

#: Enough variants that there is always something left to do.
#: More than is ever carried out: such a job is cancelled.
MANY = ("example.Hey", "--set", "hey.priority=1..100", "--repeat", "100", "-q")


def test_an_idle_daemon_says_so():
    status = Status.model_validate(asked("status"))
    assert (status.state, status.machines, status.problems) == ("idle", {}, [])
    shown = done("status").out
    assert re.search(r"^state +idle$", shown, re.MULTILINE)
    assert re.search(r"^machines +none \(at most 1\)$", shown, re.MULTILINE)
    assert done("machine", "ls").out.startswith("no machines")
    assert done("machine", "ls", "-q").out == ""
    assert (asked("machine", "ls"), asked("host", "ls"), asked("job", "ls")) == ([], [], [])
    assert (done("host", "ls").out, done("job", "ls").out) == ("no hosts\n", "no jobs\n")


def test_the_maximum_is_raised_and_lowered_while_runs_go_on():
    assert done("fleet", "set-max", "1").out == "at most 1 machines\n"
    job = done("job", "add", *MANY).out.strip()
    until(lambda: machines_now("running") == ["taskgen-1"])
    assert done("set-max-machine-value", "2").out == "at most 2 machines\n"
    until(lambda: machines_now("running") == ["taskgen-1", "taskgen-2"])
    assert "2 running (at most 2)" in done("status").out
    assert {each["machine"] for each in asked("lease", "ls")} == {"taskgen-1", "taskgen-2"}
    assert done("fleet", "set-max", "1").out == "at most 1 machines\n"
    until(lambda: machines_now() == ["taskgen-1"])
    before = job_now(job).counts
    until(lambda: job_now(job).counts.done > before.done)
    assert job_now(job).counts.failed_attempts == 0
    wish = done("fleet", "set-max", "100000").out
    assert re.search(r"at most \d+ machines; 100000 are wished\n.", wish)
    done("fleet", "set-max", "1")
    done("job", "cancel", job)


def test_the_fleet_pauses_after_what_runs_and_resumes():
    job = done("job", "add", *MANY).out.strip()
    until(lambda: job_now(job).counts.done)
    assert done("fleet", "pause").out.startswith("paused")
    assert Fleet.model_validate(asked("fleet", "show")).paused
    until(lambda: not job_now(job).counts.running)
    assert "paused" in done("status").out
    paused = job_now(job).counts.done
    assert re.search(r"^work +paused$", done("fleet", "show").out, re.MULTILINE)
    assert done("fleet", "resume").out == "resumed\n"
    until(lambda: job_now(job).counts.done > paused)
    done("job", "cancel", job)


def test_a_machine_is_shown_restarted_drained_and_killed():
    job = done("job", "add", *MANY).out.strip()
    until(lambda: machines_now("running"))
    first = Machine.model_validate(asked("machine", "show", "taskgen-1"))
    shown = done("machine", "show", "taskgen-1").out
    assert re.search(rf"^pid +{first.pid}$", shown, re.MULTILINE)
    assert re.search(r"^address +10\.200\.45\.1$", shown, re.MULTILINE)
    assert first.run.startswith(job)
    assert re.search(r"^10\.200\.45\.1 +taskgen-1 ", done("lease", "ls").out, re.MULTILINE)
    assert Lease.model_validate(asked("lease", "ls")[0]).machine == "taskgen-1"

    def pid():
        with Client() as client:
            return next((each.pid for each in client.machines()), None)

    def another_than(*pids):
        return lambda: pid() not in (None, *pids)

    done("machine", "restart", "taskgen-1")
    until(another_than(first.pid))
    second = pid()
    done("machine", "kill", "taskgen-1")
    until(another_than(first.pid, second))
    until(lambda: machines_now("running"))
    (name,) = machines_now("running")  # of the slot that was free first
    assert f"until taskgen machine restart {name}" in done("machine", "drain", name).out
    until(lambda: machines_now("held") == [name])
    done("machine", "restart", name)
    until(lambda: machines_now("running") == [name])
    assert job_now(job).counts.failed_attempts == 0
    done("job", "cancel", job)
    done("fleet", "pause")  # the next machine is taskgen-1 again
    until(lambda: not machines_now())
    done("fleet", "resume")
    unknown = taskgen("machine", "kill", "taskgen-9")
    assert unknown.status in (1, 2)
    assert "taskgen-9" in unknown.err


@pytest.fixture
def member():
    """Runs a command as somebody who is not root, but in the group of the socket."""
    socket = Path("/run/taskgen/taskgen.sock")
    owner = socket.stat()
    os.chown(socket, 0, 4242)
    # Whoever is nobody may not be allowed to read this Python installation: import first.
    program = (
        "import os, sys\n"
        "from taskgen.cli.main import cli, main\n"
        "for lazy in cli.lazy.values():\n"
        "    for inner in getattr(lazy.load(), 'lazy', {}).values():\n"
        "        inner.load()\n"
        "os.setgroups([int(sys.argv.pop(1))])\n"
        "os.setgid(65534)\n"
        "os.setuid(65534)\n"
        "main()\n"
    )
    yield lambda group, *words: [sys.executable, "-c", program, str(group), *words]
    os.chown(socket, owner.st_uid, owner.st_gid)


def test_members_of_the_group_may_use_it_and_nobody_else(member):
    def said(group, *words):
        return subprocess.run(
            member(group, *words), capture_output=True, text=True, check=False, env=environment()
        )

    for words in (("fleet", "show"), ("fleet", "set-max", "1")):
        mine = said(4242, *words)
        assert mine.returncode == 0, mine.stderr
    other = said(4243, "status")
    assert other.returncode == 3
    assert "is not yours to use (become a member of the group taskgen" in other.stderr
    other = said(4243, "run", "example.Hey")
    assert other.returncode == 3
    assert "is not yours to use" in other.stderr


class TestConsole:
    def test_it_is_used_and_left_and_the_terminal_is_as_before(self):
        done("job", "add", "example.Hey", "--wait")
        with Terminal.running("machine", "console", "taskgen-1") as terminal:
            before = terminal.modes
            terminal.wait_for("Ctrl-] leaves it")
            until_raw(terminal, before)
            terminal.type(b"anybody there?")
            terminal.wait_for("anybody there?")
            terminal.type(b"\x03\x1d")  # Ctrl-C goes to the machine
            terminal.wait_for("console of taskgen-1 left")
            assert terminal.process.wait() == 0
            assert terminal.modes == before
        assert machines_now() == ["taskgen-1"]

    def test_members_of_the_group_may_use_it_and_are_known_by_name(self, member, daemon):
        with Terminal.of(member(4242, "machine", "console", "taskgen-1")) as terminal:
            terminal.wait_for("Ctrl-] leaves it")
            terminal.type(b"hello")
            terminal.wait_for("hello")
            terminal.type(b"\x1d")
            terminal.wait_for("console of taskgen-1 left")
            assert terminal.process.wait() == 0
        daemon.wait_for("nobody looks away from its console")
        said = "".join(daemon.said)
        assert "taskgen-1: nobody begins to type on its console" in said
        assert "taskgen-1: nobody has typed 5 bytes" in said

    def test_another_key_can_leave_it(self):
        with Terminal.running("machine", "console", "taskgen-1", "--escape", "^a") as terminal:
            terminal.wait_for("Ctrl-A leaves it")
            terminal.type(b"\x1d\x01")
            terminal.wait_for("console of taskgen-1 left")
            assert terminal.process.wait() == 0

    def test_the_terminal_is_as_before_also_when_it_is_ended_from_outside(self):
        with Terminal.running("machine", "console", "taskgen-1") as terminal:
            before = terminal.modes
            terminal.wait_for("leaves it")
            until_raw(terminal, before)
            terminal.process.send_signal(signal.SIGTERM)
            terminal.process.wait()
            assert terminal.modes == before

    def test_the_log_has_what_was_printed_and_goes_on(self):
        whole = done("machine", "log", "taskgen-1", "--lines", "all").out
        assert len(whole.splitlines()) > 5
        assert done("machine", "log", "taskgen-1", "--lines", "2").out == "".join(
            line + "\n" for line in whole.splitlines()[-2:]
        )
        with started("machine", "log", "-f", "--lines", "2", "taskgen-1") as log:
            log.wait_for("")
            done("job", "add", "example.Pi", "--wait")
            log.wait_for("pi")
            log.signal(signal.SIGINT)
            assert log.end().status == 130

    def test_what_it_said_is_beside_what_the_tasks_did(self):
        job = done("job", "add", "example.Hey", "--wait", "-q").out.split()[0]
        said = done("run", "show", f"{job}-0-1", "--console").out.splitlines()
        table = said[next(n for n, line in enumerate(said) if "who" in line) :]
        assert any("activation 1 starts" in line for line in table)
        assert any(line.split()[1] == "console" for line in table[1:])
        times = [float(line.split()[0].lstrip("<")) for line in table[1:] if line]
        assert times == sorted(times)

    def test_it_is_kept_when_the_machine_is_gone(self, daemon):
        before = asked("machine", "log", "--boots", "taskgen-1")
        assert asked("status")["console_bytes"] >= 4096
        assert re.search(r"^consoles +.* on the disk$", done("status").out, re.MULTILINE)
        whole = done("machine", "log", "taskgen-1", "--lines", "all").out
        done("machine", "drain", "taskgen-1")
        daemon.end(signal.SIGKILL)
        daemon.start()
        boots = asked("machine", "log", "--boots", "taskgen-1")
        assert [boot["number"] for boot in boots[: len(before)]] == [
            boot["number"] for boot in before
        ]
        number = str(before[-1]["number"])
        again = done("machine", "log", "taskgen-1", "--lines", "all", "--boot", number).out
        assert again.startswith(whole)
        timed = done("machine", "log", "taskgen-1", "--boot", number, "--timestamps").out
        assert re.match(r"<?\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ", timed)
        assert done("machine", "log", "taskgen-1", "--since", "2001-01-01").out.startswith(
            done("machine", "log", "taskgen-1", "--boot", str(boots[0]["number"]), "-n", "all").out
        )
        said = taskgen("machine", "log", "taskgen-1", "--boot", "999")
        assert (said.status, said.out) == (2, "")
        assert "boot 999 is not kept (kept are " in said.err


def until_raw(terminal, before):
    """The remark comes just before the terminal is set."""
    while terminal.modes == before:
        os.sched_yield()


def lines_of(said):
    return [ConsoleLine.model_validate_json(line) for line in said.splitlines()]


def test_events_and_consoles_are_followed_over_a_daemon_that_is_killed(daemon):
    job = done("job", "add", *MANY).out.strip()
    with started("events", "--json", "--kind", "run.finished") as events:
        first = StreamEvent.model_validate_json(events.wait_for("run.finished"))
        assert first.data["job"] == job
        name = first.data["target"]
        with started("machine", "log", "-f", "-n", "all", "--json", name) as log:
            log.wait_for('"text"')
            daemon.end(signal.SIGKILL)
            daemon.start()
            urgent = done("job", "add", "example.Hey", "--priority", "9", "-q").out.strip()
            events.wait_for(f"{urgent}-0-1")
            line, _ = lines_of(done("machine", "log", "-n", "2", "--json", name).out)
            log.wait_for(f'"end":{line.end},')
            log.signal(signal.SIGINT)
            followed = log.end()
        assert followed.status == 130
        assert followed.err.count("the daemon is gone; this goes on with the next one") == 1
        told = lines_of(followed.out)
        assert told[0].offset == 0
        # No byte is missing, none is told twice.
        assert [each.offset for each in told[1:]] == [each.end for each in told[:-1]]
        assert {each.boot for each in told} == {line.boot}
        events.signal(signal.SIGINT)
        assert events.end().status == 130
    with started("events", "--job", job) as lines:
        lines.wait_for(f"run.finished  {job}-")
        lines.signal(signal.SIGINT)
        assert lines.end().status == 130
    done("job", "cancel", job)


def test_words_are_completed_by_the_daemon():
    def words(typed):
        variables = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
        said = taskgen(_TASKGEN_COMPLETE="bash_complete", **variables)
        return [line.partition(",")[2] for line in said.out.splitlines()]

    assert words("taskgen machine show task") == machines_now()
    assert words("taskgen job show ") == done("job", "ls", "-q").out.split()


def test_down_refuses_while_the_daemon_lives(daemon):
    said = taskgen("down")
    assert (said.status, said.out) == (1, "")
    assert f"a daemon lives (pid {daemon.process.pid})" in said.err
    assert done("status").out


def test_down_by_force_ends_the_daemon_and_its_fleet_but_keeps_the_jobs(daemon):
    before = asked("job", "ls")
    said = done("down", "--force")
    assert "removed daemon, process" in said.out
    assert daemon.end() is not None
    assert taskgen("status").status == 3
    daemon.start()
    assert [job["id"] for job in asked("job", "ls")] == [job["id"] for job in before]

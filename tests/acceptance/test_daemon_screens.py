"""``screen -ls`` shows the machines of a daemon, and ``screen -r`` is their console."""

import os
import re
import select
import signal
import subprocess

from command import taskgen
from daemon_world import Terminal, daemon, done, machines_now, no_leftovers, until

from taskgen.client import Client

__all__ = ["daemon", "no_leftovers"]


def screens():
    """What ``screen -ls`` shows: pid of each session by its name."""
    said = subprocess.run(["screen", "-ls"], capture_output=True, text=True, check=False).stdout
    return {name: int(pid) for pid, name in re.findall(r"^\t(\d+)\.(\S+)", said, re.MULTILINE)}


def problems():
    """What the daemon says is not as it should be."""
    with Client() as client:
        return [each.text for each in client.status().problems]


def attached(name="taskgen-1"):
    """Attach, as soon as there is such a screen."""
    return Terminal.of(["sh", "-c", f"until screen -r {name} || screen -x {name}; do :; done"])


def ended(pid):
    """Wait until a process has ended."""
    try:
        end = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([end], [], [], 60)[0]
    os.close(end)


def test_the_console_is_used_in_a_screen_and_a_killed_one_comes_back(daemon):
    done("job", "add", "example.Hey", "--wait")
    with attached() as terminal:
        terminal.wait_for("taskloader: ")  # what was printed before is there
        terminal.type(b"anybody there?")
        terminal.wait_for("anybody there?")
        terminal.type(b"\x01d")
        terminal.wait_for("[detached from")
    first = screens()["taskgen-1"]
    os.kill(first, signal.SIGKILL)
    with attached() as one, attached() as two:
        # Whoever attaches is shown 24 lines: only the last are there however much was printed.
        one.wait_for("anybody there?")
        two.wait_for("anybody there?")
        one.type(b"one of two")
        two.wait_for("one of two")
        assert screens().keys() == {"taskgen-1"}
        assert screens()["taskgen-1"] != first
    assert machines_now() == ["taskgen-1"]
    assert problems() == []


def test_the_log_tells_that_somebody_types_in_the_screen(daemon):
    daemon.wait_for("taskgen-1: screen begins to type on its console")
    assert not any("anybody there" in line for line in daemon.said)


def test_it_waits_for_the_next_machine_and_goes_with_its_slot():
    pid = screens()["taskgen-1"]
    with attached() as terminal:
        terminal.wait_for("one of two")
        done("machine", "restart", "taskgen-1")
        terminal.wait_for("[taskgen-1: machine ended; waiting for the next]")
        done("job", "add", "example.Hey", "--wait")
        terminal.wait_for("task-set of")
        assert screens() == {"taskgen-1": pid}


def test_no_screen_is_left_by_a_daemon_that_is_killed_and_the_next_one_makes_another(daemon):
    before = screens()["taskgen-1"]
    daemon.end(signal.SIGKILL)
    ended(before)
    assert screens() == {}
    daemon.start()
    done("job", "add", "example.Hey", "--wait")
    with attached() as terminal:
        terminal.wait_for("taskloader: ")
    assert screens()["taskgen-1"] != before


def test_those_of_others_are_left_alone_and_none_is_left_by_a_daemon_that_stops(daemon):
    mine = screens()["taskgen-1"]
    other = subprocess.Popen(["screen", "-D", "-m", "-S", "taskgen-2", "cat"])
    try:
        while "taskgen-2" not in screens():
            os.sched_yield()
        done("fleet", "set-max", "2")
        job = done("job", "add", "example.Hey", "--set", "hey.priority=1..100", "-q").out.strip()
        until(lambda: len(machines_now("running")) == 2)
        until(problems)
        assert f"there is a screen {other.pid}.taskgen-2 already" in problems()[0]
        other.terminate()
        other.wait()
        with attached("taskgen-2") as terminal:
            terminal.wait_for("taskloader: ")
        ours = screens()["taskgen-2"]
        done("fleet", "set-max", "1")
        ended(ours)
        assert screens() == {"taskgen-1": mine}
        done("job", "cancel", job)
    finally:
        other.kill()
        other.wait()
    assert daemon.end() == 0
    assert screens() == {}
    daemon.start()


def test_without_screens_all_else_works(daemon):
    daemon.end()
    os.environ["TASKGEN_CONSOLE__SCREENS"] = "false"
    try:
        daemon.start()
        assert taskgen("job", "add", "example.Hey", "--wait").status == 0
        assert screens() == {}
    finally:
        del os.environ["TASKGEN_CONSOLE__SCREENS"]

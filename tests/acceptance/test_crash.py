"""After ``kill -9`` nothing of ours stays: ``taskgen down`` or the next start removes it."""

import os
import signal
from pathlib import Path

from command import started, taskgen

SHORT = ("run", "hey.Hey1TaskSet", "--machines", "1")


def crash():
    """Kill a program that has a machine at work; what is there then, by pid."""
    with started("run", "example.Idle", "--set", "*.numberofjobs=9999", "--print") as command:
        command.wait_for("START")
        children = children_of(command.process.pid)
        command.signal(signal.SIGKILL)
        assert command.end().status == -signal.SIGKILL
    return children


def children_of(pid):
    return {
        int(child): Path(f"/proc/{child}/comm").read_text().strip()
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    } | {
        int(child): Path(f"/proc/{child}/comm").read_text().strip()
        for task in os.listdir(f"/proc/{pid}/task")
        for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    }


def alive(pids):
    def state(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return "gone"

    return [pid for pid in pids if state(pid) not in ("gone", "Z")]


def test_down_removes_what_a_killed_program_left_and_the_next_run_works():
    children = crash()
    assert {name.partition("-")[0] for name in children.values()} >= {"qemu", "dnsmasq"}
    assert set(alive(children)) == set(children)
    done = taskgen("down")
    assert done.status == 0, done.err
    assert "removed network namespace taskgen-" in done.out
    assert alive(children) == []
    assert taskgen("down").out == "nothing to remove\n"
    assert taskgen(*SHORT).status == 0


def test_down_works_too_when_everything_was_killed():
    children = crash()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    done = taskgen("down")
    assert done.status == 0, done.err
    assert "removed network namespace taskgen-" in done.out
    assert taskgen(*SHORT).status == 0


def test_the_next_run_removes_what_a_crash_left():
    children = crash()
    done = taskgen(*SHORT)
    assert done.status == 0, done.err
    assert "a crashed engine had left this, and it is removed now: process" in done.err
    assert alive(children) == []


def test_down_leaves_alone_what_lives():
    with started("run", "example.Idle", "--set", "*.numberofjobs=9999", "--print") as command:
        command.wait_for("START")
        done = taskgen("down")
        assert done.status == 0
        assert "nothing to remove" in done.out
        assert f"its engine lives (pid {command.process.pid})" in done.err
        command.wait_for("START")
        command.signal(signal.SIGTERM)
        assert command.end().status == 130

"""``taskgen run`` on real machines, from its first line to its last row."""

import csv
import hashlib
import re
import signal
from collections import Counter

import pytest
from command import on_terminal, started, taskgen
from programs import needed

from taskgen.settings import DhcpChoice

#: Enough variants that there is always something left to do.
MANY = ("example.Hey", "--set", "hey.priority=1..100", "--print")


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_variant_gets_a_result_and_every_activation_a_row(tmp_path):
    events = tmp_path / "events.csv"
    done = taskgen("run", "example.Demo", "--machines", "2", "--events", str(events))
    assert done.status == 0, done.err
    assert "8 done, 0 running, 0 failed of 8" in done.err
    assert "8 of 8 variants have a result" in done.err
    assert "they are an emulator's, not hardware's" in done.out
    assert "1 idle" in done.out
    assert "2 hey" in done.out

    found = [row for row in rows(events) if row["result"] == "ok"]
    assert Counter(row["variant"] for row in found) == {str(n): 45 for n in range(8)}
    assert {row["target"] for row in found} == {"taskgen-1", "taskgen-2"}
    assert len({row["run_id"] for row in found}) == 8
    by_parameters = {(row["1.config.arg1"], row["2.period"], row["2.priority"]) for row in found}
    assert len(by_parameters) == 8
    for row in found:
        assert int(row["release_us"]) <= int(row["start_us"]) <= int(row["end_us"])
        assert int(row["response_us"]) == int(row["end_us"]) - int(row["release_us"])
        assert row["missed"] in ("true", "false")
        assert int(row["cpu_us"]) > 0 or row["exit"] == "EXIT_PERIOD"  # it never got the CPU
    first = [row for row in found if row["activation"] == "1" and row["task_id"] == "1"]
    # A guest that an emulator on a busy host holds up for a whole period passes over that release.
    releases_us = {int(row["release_us"]) for row in first}
    assert min(releases_us) == 60_000
    assert not {each % 60_000 for each in releases_us} - {0}


def test_on_a_terminal_a_bar_shows_what_is_going_on():
    with on_terminal("run", "example.Hey", "--set", "hey.priority=1..4", "--machines", "1") as seen:
        status, text = seen()
    assert status == 0, text
    assert re.search(r"0/4 0 done, 0 running, 0 failed .* machines: 1 (launching|booting)", text)
    assert re.search(r"/4 \d done, 1 running, 0 failed .* machines: 1 running", text)
    assert re.search(r"4/4 4 done, 0 running, 0 failed", text)
    assert "Traceback" not in text


def test_a_second_run_appends_to_the_same_file(tmp_path):
    events = tmp_path / "events.csv"
    for _ in range(2):
        done = taskgen("run", "hey.Hey1TaskSet", "--machines", "1", "--events", str(events))
        assert done.status == 0, done.err
        assert "1 rows added" in done.err
    assert len({row["run_id"] for row in rows(events)}) == 2


def test_ctrl_c_finishes_what_is_running_and_writes_it(tmp_path):
    events = tmp_path / "events.csv"
    with started("run", *MANY, "--events", str(events)) as command:
        command.wait_for("JOBS_DONE")
        command.signal(signal.SIGINT)
        end = command.end()
    assert end.status == 130
    assert "finishing what is running" in end.err
    counted = Counter(row["run_id"] for row in rows(events))
    assert counted
    assert set(counted.values()) == {10}
    assert f"{len(counted)} of 100 variants have a result" in end.err
    assert "Results over all variants" in end.out


def test_ctrl_c_twice_stops_now_and_cleans_up(tmp_path):
    long = ("example.Idle", "--set", "idle.numberofjobs=10000", "--print")
    with started("run", *long, "--machines", "1") as command:
        command.wait_for("START")
        command.signal(signal.SIGINT)
        assert "finishing what is running" in command.process.stderr.readline()
        command.signal(signal.SIGINT)
        end = command.end()
    assert end.status == 130
    assert "stopping now, and cleaning up" in end.err
    assert "stopped before it was through" in end.out
    assert "0 of 3 variants have a result" in end.err


def test_termination_stops_now_and_cleans_up():
    with started("run", *MANY) as command:
        command.wait_for("START")
        command.signal(signal.SIGTERM)
        end = command.end()
    assert end.status == 130
    assert "stopping now, and cleaning up" in end.err


@pytest.mark.parametrize("server", DhcpChoice)
def test_two_fleets_on_one_host_do_not_meet(tmp_path, server):
    if server is DhcpChoice.ISC:
        needed("dhcpd")
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    words = ("example.Hey", "--machines", "1", "--print", "--events")
    with (
        started("run", *words, str(first), TASKGEN_DHCP__SERVER=server) as one,
        started("run", *words, str(second), TASKGEN_DHCP__SERVER=server) as two,
    ):
        one.wait_for("START")
        two.wait_for("START")
        assert (one.end().status, two.end().status) == (0, 0)
    assert len(rows(first)) == len(rows(second)) == 10


def test_ones_own_binary_goes_before_the_profiles_and_that_is_said(tmp_path, profile):
    mine = (profile.binaries / "hey").read_bytes() + b"of my own"
    (tmp_path / "hey").write_bytes(mine)
    words = ("run", "hey.Hey1TaskSet", "--machines", "1", "--binaries", ".", "--events", "e.csv")
    result = taskgen(*words, cwd=tmp_path)
    assert result.status == 0, result.err
    assert result.err.count(f"task binary hey: hey goes before {profile.binaries}/hey") == 1
    used = {row["binaries"] for row in rows(tmp_path / "e.csv")}
    assert used == {f"hey={hashlib.sha256(mine).hexdigest()}"}


def test_a_task_set_and_binaries_of_ones_own(tmp_path, profile):
    (tmp_path / "mine.py").write_text(
        "from taskgen.task import Task\n"
        "from taskgen.taskset import TaskSet\n"
        "class Two(TaskSet):\n"
        "    def __init__(self):\n"
        "        super().__init__([Task(pkg='own', period=[20, 40], numberofjobs=3)])\n"
    )
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "own").write_bytes((profile.binaries / "hey").read_bytes())
    words = ("run", "mine.Two", "--machines", "1", "--binaries", "bin", "--events", "e.csv")
    done = taskgen(*words, cwd=tmp_path)
    assert done.status == 0, done.err
    assert Counter(row["1.period"] for row in rows(tmp_path / "e.csv")) == {"20": 3, "40": 3}


def test_a_task_set_without_an_end_runs_for_its_duration(tmp_path):
    events = tmp_path / "events.csv"
    endless = ("hey.Hey1TaskSet", "--set", "hey.period=50", "--set", "hey.numberofjobs=0")
    done = taskgen("run", *endless, "--machines", "1", "--duration", "1.5", "--events", str(events))
    assert done.status == 0, done.err
    assert len(rows(events)) >= 10


def test_a_variant_without_a_result_is_told_with_its_reason():
    hangs = ("example.Pi", "--set", "*.pkg=idle", "--set", "*.config.arg1=0", "--set", "*.period=0")
    done = taskgen("run", *hangs, "--tries", "1", "--machines", "1", TASKGEN_RUN__SLACK_S="2")
    assert done.status == 1
    assert "variant 0 has no result after 1 attempts (task): no JOBS_DONE of task 1" in done.err
    assert "0 of 1 variants have a result" in done.err

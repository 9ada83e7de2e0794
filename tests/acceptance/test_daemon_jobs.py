"""Jobs of a daemon, on real machines, by the installed command."""

import csv
import hashlib
import json
import re
import signal
from collections import Counter

import pytest
from command import started, taskgen
from daemon_world import Terminal, asked, daemon, done, no_leftovers

from taskgen.resources import Job, Run

__all__ = ["daemon", "no_leftovers"]

#: Enough variants that there is always something left to do.
MANY = ("example.Hey", "--set", "hey.priority=1..100")
#: One run that takes longer than any test.
LONG = ("example.Idle", "--set", "idle.numberofjobs=10000")


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def demo(daemon):
    """A job that is through: its id."""
    words = ("--name", "demo", "--label", "project=thesis", "--priority", "3", "--watch")
    said = done("job", "add", "example.Demo", *words)
    assert "8 done, 0 running, 0 failed of 8" in said.err
    assert "8 of 8 variants have a result" in said.err
    return re.fullmatch(r"job (\w+) queued: 8 variants\n", said.out)[1]


def test_a_job_is_shown_to_people_and_programs(demo):
    job = Job.model_validate(asked("job", "show", demo))
    assert (job.name, job.labels, job.priority) == ("demo", {"project": "thesis"}, 3)
    assert (job.state, job.counts.done) == ("done", 8)
    shown = done("job", "show", demo).out
    assert re.search(r"^state +done$", shown, re.MULTILINE)
    assert re.search(r"^labels +project=thesis$", shown, re.MULTILINE)
    assert json.loads(done("job", "show", demo, "--document").out)["name"]
    listed = done("job", "ls").out
    assert re.search(rf"^{demo} +demo +done +8 of 8 ", listed, re.MULTILINE)
    assert demo in done("job", "ls", "-q", "--label", "project=thesis").out.split()
    assert done("job", "ls", "--state", "failed").out == "no such jobs\n"
    assert Job.model_validate(asked("job", "ls", "--label", "project=thesis")[0]) == job


def test_the_story_of_a_run_is_told(demo):
    run = Run.model_validate(asked("run", "show", f"{demo}-3-1"))
    assert (run.state, run.variant, len(run.attempts)) == ("done", 3, 1)
    assert len(run.ended.activations) == 45
    shown = done("run", "show", f"{demo}-3-1").out
    assert re.search(r"^state +done$", shown, re.MULTILINE)
    assert "1.config.arg1 = " in shown
    assert len(re.findall(r"^[12] (?:idle|hey) +\d+ ", shown, re.MULTILINE)) == 45
    assert taskgen("run", "show", "nothing").status == 1


def test_results_are_exported_whole_or_not_at_all(demo, tmp_path):
    file = tmp_path / "events.csv"
    done("results", "export", "--job", demo, "-o", str(file))
    assert Counter(row["variant"] for row in rows(file)) == {str(n): 45 for n in range(8)}
    assert done("results", "export", "--job", demo).out == file.read_text()
    again = taskgen("results", "export", "-o", str(file))
    assert again.status == 2
    assert "is there already (--force replaces it)" in again.err
    lines = done("results", "export", "--format", "jsonl", "--label", "project=thesis").out
    assert len([json.loads(line) for line in lines.splitlines()]) >= 8
    assert len(rows(file)) == 360
    done("results", "export", "--until", "1h", "-o", str(file), "--force")
    assert rows(file) == []
    import pyarrow.parquet

    done("results", "export", "--job", demo, "-o", str(tmp_path / "events.parquet"))
    assert pyarrow.parquet.read_table(tmp_path / "events.parquet").num_rows == 360
    assert taskgen("results", "export", "--job", "0123456789ab").status == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_watching_may_be_left_while_the_job_goes_on():
    job = done("job", "add", *MANY, "-q").out.strip()
    with Terminal.running("job", "watch", job) as terminal:
        terminal.wait_for("1 running, 0 failed")
        terminal.process.send_signal(signal.SIGINT)
        terminal.wait_for(f"job {job} goes on (taskgen job watch {job}")
        assert terminal.process.wait() == 130
    assert asked("job", "show", job)["state"] == "running"
    with started("job", "watch", job) as watch:
        assert done("job", "cancel", job).out == f"{job} cancelled\n"
        end = watch.end()
    assert end.status == 1
    assert re.search(rf"job {job} was cancelled\n.* of 100 variants have a result", end.err)
    assert done("job", "rm", job).out == f"{job} forgotten\n"
    gone = taskgen("job", "cancel", job)
    assert gone.status == 1
    assert "there is no such job" in gone.err


def test_a_job_waits_while_it_is_paused(tmp_path):
    job = asked("job", "add", "example.Hey", "--paused")["id"]
    assert asked("job", "show", job)["state"] == "paused"
    assert done("job", "resume", job).out == f"{job} resumed\n"
    done("job", "watch", job)
    assert taskgen("job", "pause", job).status == 1


def test_a_watched_job_has_a_bar_on_a_terminal():
    job = done("job", "add", "example.Hey", "--set", "hey.priority=1..4", "-q").out.strip()
    with Terminal.running("job", "watch", job) as terminal:
        terminal.wait_for("4 of 4 variants have a result")
        assert terminal.process.wait() == 0
    assert re.search(r"4/4 +4 done, 0 running, 0 failed", terminal.shown)


def test_what_was_given_up_is_told_and_can_be_tried_again(tmp_path):
    hangs = ("example.Pi", "--set", "*.pkg=idle", "--set", "*.config.arg1=0", "--set", "*.period=0")
    said = taskgen("job", "add", *hangs, "--tries", "1", "--wait", "-q")
    assert said.status == 1
    assert "variant 0 has no result after 1 attempts (task): no JOBS_DONE of task 1" in said.err
    job = said.out.strip()
    run = asked("run", "show", f"{job}-0-1")
    assert (run["state"], run["ended"]["failure"]) == ("bad", "task")
    shown = done("run", "show", f"{job}-0-1").out
    assert "task: no JOBS_DONE of task 1" in shown
    assert done("job", "retry-bad", job).out == f"{job} tries again\n"
    assert taskgen("job", "watch", job).status == 1
    assert len(asked("run", "show", f"{job}-0-1")["attempts"]) == 2


class TestRun:
    """``taskgen run`` where a daemon is running."""

    def test_it_gives_the_job_to_the_daemon_and_says_the_same(self, tmp_path):
        before = asked("job", "ls")
        events = tmp_path / "events.csv"
        said = done("run", "example.Demo", "--events", str(events))
        assert "8 done, 0 running, 0 failed of 8" in said.err
        assert "8 of 8 variants have a result" in said.err
        assert "they are an emulator's, not hardware's" in said.out
        assert "1 idle" in said.out
        found = [row for row in rows(events) if row["result"] == "ok"]
        assert Counter(row["variant"] for row in found) == {str(n): 45 for n in range(8)}
        assert len(asked("job", "ls")) == len(before) + 1

    def test_ctrl_c_finishes_what_is_running_and_cancels_the_rest(self, tmp_path):
        events = tmp_path / "events.csv"
        with started("run", *MANY, "--print", "--events", str(events)) as command:
            command.wait_for("JOBS_DONE")
            command.signal(signal.SIGINT)
            end = command.end()
        assert end.status == 130
        assert "finishing what is running" in end.err
        counted = Counter(row["run_id"] for row in rows(events))
        assert counted
        assert set(counted.values()) == {10}
        assert f"{len(counted)} of 100 variants have a result" in end.err
        assert asked("job", "ls")[-1]["state"] == "cancelled"

    def test_ctrl_c_twice_cancels_now(self):
        with started("run", *LONG, "--print") as command:
            command.wait_for("START")
            command.signal(signal.SIGINT)
            assert "finishing what is running" in command.process.stderr.readline()
            command.signal(signal.SIGINT)
            end = command.end()
        assert end.status == 130
        assert "0 of 3 variants have a result" in end.err
        assert asked("job", "ls")[-1]["state"] == "cancelled"

    def test_binaries_of_ones_own_are_uploaded(self, tmp_path, profile):
        (tmp_path / "mine.py").write_text(
            "from taskgen.task import Task\n"
            "from taskgen.taskset import TaskSet\n"
            "class Two(TaskSet):\n"
            "    def __init__(self):\n"
            "        super().__init__([Task(pkg='own', period=[20, 40], numberofjobs=3)])\n"
        )
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "own").write_bytes((profile.binaries / "hey").read_bytes())
        missing = taskgen("run", "mine.Two", cwd=tmp_path)
        assert missing.status == 2
        assert "no task binary 'own'" in missing.err
        done("run", "mine.Two", "--binaries", "bin", "--events", "e.csv", cwd=tmp_path)
        found = Counter(row["1.period"] for row in rows(tmp_path / "e.csv"))
        assert found == {"20": 3, "40": 3}

    def test_binaries_of_ones_own_go_before_the_daemons(self, daemon, tmp_path, profile):
        mine = (profile.binaries / "hey").read_bytes() + b"of my own"
        (tmp_path / "hey").write_bytes(mine)
        sha256 = hashlib.sha256(mine).hexdigest()
        words = ("-v", "run", "hey.Hey1TaskSet", "--binaries", ".", "--events", "e.csv")
        assert "task binary hey: hey goes before the daemon's" in done(*words, cwd=tmp_path).err
        assert {row["binaries"] for row in rows(tmp_path / "e.csv")} == {f"hey={sha256}"}
        told = f"task binary hey: uploaded {sha256} goes before {profile.binaries}/hey"
        assert any(told in line for line in daemon.said)

    def test_a_fleet_of_ones_own_is_made_where_it_is_wanted_or_needed(self):
        before = done("job", "ls", "-q").out
        own = done("run", "hey.Hey1TaskSet", "--machines", "1", "--embedded")
        assert "1 of 1 variants have a result" in own.err
        special = done("run", "hey.Hey1TaskSet", "--machines", "1", "--memory", "192")
        assert "--memory cannot be had of the daemon: launching machines of its own" in special.err
        assert done("job", "ls", "-q").out == before

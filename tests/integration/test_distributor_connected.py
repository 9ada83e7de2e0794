"""Handlers of a program, while the daemon that does its work is killed and started again."""

import csv
import threading
from collections import Counter

import pytest
from daemon_tools import PATIENCE_S, daemon, sweep, with_boards, write_settings

from taskgen.distributor import Distributor
from taskgen.events.csv import CsvHandler
from taskgen.events.handler import EventHandler
from taskgen.queue import JobState

VARIANTS = 60


@pytest.fixture
def settings(tmp_path, monkeypatch):
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setenv("TASKGEN_STATE", str(state))
    return write_settings(tmp_path / "taskgen.toml", boards=2, more='[api]\nlisten = ""\n')


class Recorder(EventHandler):
    """Keeps what it is told.

    :ivar ends: released for each run that has ended.
    """

    def __init__(self):
        self.calls = []
        self.ends = threading.Semaphore(0)

    def on_start(self, run):
        self.calls.append(("start", run.id))

    def on_stop(self, run, reason):
        self.calls.append(("stop", run.id))

    def on_finish(self, run):
        self.calls.append(("finish", run.id))
        self.ends.release()

    def wait_for_ends(self, number):
        for _ in range(number):
            assert self.ends.acquire(timeout=PATIENCE_S)


def test_handlers_are_told_each_attempt_once_while_daemons_are_killed(settings, tmp_path):
    recorder, file = Recorder(), tmp_path / "events.csv"

    def test(*_boards):
        with daemon(settings) as first:
            distributor = Distributor.connect()
            job = distributor.add_job(sweep(VARIANTS, period_ms=100), recorder, CsvHandler(file))
            recorder.wait_for_ends(5)
            first.process.kill()
            first.process.wait()
        with daemon(settings) as second:
            recorder.wait_for_ends(5)
            second.process.kill()
            second.process.wait()
        with daemon(settings) as third:
            info = job.wait(PATIENCE_S)
            kept = [each.run_id for each in job.results()]
            distributor.close()
            assert third.stop() == 0
        assert (info.state, info.counts.done) == (JobState.DONE, VARIANTS)
        return kept

    kept = with_boards(test, 2)
    finished = Counter(run for kind, run in recorder.calls if kind == "finish")
    assert set(finished.values()) == {1}
    assert set(kept) <= set(finished)
    assert len(kept) == VARIANTS
    begun = set()
    for kind, run in recorder.calls:
        if kind == "start":
            assert run not in begun
            begun.add(run)
        else:
            begun.remove(run)
    assert not begun
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert Counter(row["run_id"] for row in rows) == finished

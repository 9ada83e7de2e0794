"""A program's connected distributor steers the fleet of a daemon, whose machines are real."""

import csv
import threading
from collections import Counter
from contextlib import contextmanager

import pytest
from command import PATIENCE_S
from daemon_world import asked, daemon, machines_now, no_leftovers, until

from taskgen.distributor import Distributor
from taskgen.events.csv import CsvHandler
from taskgen.events.handler import EventHandler
from taskgen.queue import JobState
from taskgen.task import Task
from taskgen.taskset import TaskSet

__all__ = ["daemon", "no_leftovers"]

ACTIVATIONS = 3


def sweep(variants):
    """Runs of half a second each."""
    periods = range(150, 150 + variants)
    return TaskSet([Task(pkg="hey", period=list(periods), numberofjobs=ACTIVATIONS)])


class Ends(EventHandler):
    """Lets a test wait for ends of runs.

    :ivar reasons: of runs that were stopped.
    """

    def __init__(self):
        self.reasons = []
        self._ends = threading.Semaphore(0)

    def on_finish(self, run):
        self._ends.release()

    def on_stop(self, run, reason):
        self.reasons.append(reason)

    def wait_for(self, number):
        for _ in range(number):
            assert self._ends.acquire(timeout=PATIENCE_S), "no run has ended"


@pytest.fixture
def distributor(daemon):
    """One that is connected; the fleet is afterwards as it was."""
    with Distributor.connect() as connected:
        before = connected.get_max_machine_value()
        yield connected
        connected.resume()
        connected.set_max_machine_value(before)


@contextmanager
def recorded(distributor, variants, file):
    """A job while it is worked on; in the end each variant has one result, also in the file."""
    ends = Ends()
    job = distributor.add_job(sweep(variants), CsvHandler(file), ends)
    yield job, ends
    info = job.wait(PATIENCE_S)
    assert (info.state, info.counts.done, info.counts.bad) == (JobState.DONE, variants, 0)
    assert [each.position for each in job.results()] == list(range(variants))
    kept = {each.run_id for each in job.results()}
    with file.open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["result"] == "ok"]
    assert Counter(row["run_id"] for row in rows) == dict.fromkeys(kept, ACTIVATIONS)
    assert {row["1.period"] for row in rows} == {str(150 + n) for n in range(variants)}
    assert {row["job_id"] for row in rows} == {job.id}


def test_the_maximum_is_raised_and_lowered_while_a_job_runs(distributor, tmp_path):
    with recorded(distributor, 48, tmp_path / "e.csv") as (_, ends):
        ends.wait_for(1)
        assert machines_now() == ["taskgen-1"]
        distributor.set_max_machine_value(2)
        assert distributor.get_max_machine_value() == 2
        until(lambda: machines_now("running") == ["taskgen-1", "taskgen-2"])
        distributor.set_max_machine_value(1)
        until(lambda: machines_now() == ["taskgen-1"])
        assert not ends.reasons


def test_all_machines_are_killed_and_their_runs_carried_out_after_all(distributor, tmp_path):
    distributor.set_max_machine_value(2)
    with recorded(distributor, 12, tmp_path / "e.csv") as (job, ends):
        # The other one may still boot: on a busy host the first is soon through with all runs.
        until(lambda: len(machines_now()) == 2 and machines_now("running"))
        distributor.kill_all_machines(PATIENCE_S)
        assert machines_now() == []
        assert asked("status")["state"] == "paused"
        done = job.progress.done
        assert done < 12
        assert distributor.get_distributor_state()
        distributor.resume()
        ends.wait_for(1)
        assert job.progress.failed_attempts == 0


def test_all_machines_are_shut_down_after_their_runs_and_come_back(distributor, tmp_path):
    with recorded(distributor, 8, tmp_path / "e.csv") as (job, ends):
        ends.wait_for(1)
        distributor.shut_down_all_machines(PATIENCE_S)
        assert machines_now() == []
        assert (job.progress.running, job.progress.failed_attempts) == (0, 0)
        assert not ends.reasons
        assert 0 < job.progress.done < 8
        distributor.resume()
        assert job.wait(PATIENCE_S).state is JobState.DONE
        assert not ends.reasons
    assert not distributor.get_distributor_state()

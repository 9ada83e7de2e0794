"""What only a distributor of a daemon does: it leaves jobs at work, and brings its own binaries."""

import io
import json
import threading
from functools import partial

import pytest
from distributor_tools import ENDLESS, PATIENCE_S, Recorder, connected, elf, profile_of, tasks

from taskgen.client import Client
from taskgen.distributor import Distributor
from taskgen.errors import BinaryError, DaemonUnreachableError
from taskgen.events.csv import CsvHandler
from taskgen.queue import JobState
from taskgen.testing import Faults


@pytest.fixture(autouse=True)
def binaries(tmp_path, monkeypatch):
    return profile_of(tmp_path, monkeypatch)


@pytest.fixture
def connecting(monkeypatch, tmp_path):
    """Makes a daemon, and a distributor of it."""
    return partial(connected, monkeypatch, tmp_path)


@pytest.fixture
def socket(tmp_path):
    return tmp_path / "taskgen.sock"


def test_a_job_goes_on_when_its_program_ends_and_the_next_one_is_told_all(
    connecting, socket, tmp_path
):
    recorder, file = Recorder(), tmp_path / "events.csv"
    with connecting(fake={"time_scale": 50.0}) as (distributor, _):
        first = Recorder()
        distributor.add_job(tasks(4), first, CsvHandler(file), name="mine")
        assert first.first_start.wait(PATIENCE_S)
        distributor.close()
        assert first.of("stop") == [0]
        with Distributor.connect(socket) as another:
            (job,) = another.jobs()
            job.add_handler([recorder, CsvHandler(file)])
            info = job.wait(PATIENCE_S)
            assert (info.state, info.name) == (JobState.DONE, "mine")
    assert [recorder.of("finish").count(each) > 0 for each in range(4)] == [True] * 4
    rows = file.read_text().splitlines()[1:]
    assert len(rows) == len(set(rows)) >= 4


def test_own_binaries_are_uploaded_and_run(connecting, socket, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine").write_bytes(elf(b"of my own"))
    with connecting() as (_, fakes):
        with Distributor.connect(socket, binaries=own) as distributor:
            job = distributor.add_job(tasks(1, pkg="mine"))
            assert job.wait(PATIENCE_S).counts.done == 1
        assert fakes[0].binaries["mine"] == elf(b"of my own")
        (own / "hey").write_bytes(elf(b"instead of the daemon's"))
        with Distributor.connect(socket, binaries=own) as distributor:
            distributor.add_job(tasks(1)).wait(PATIENCE_S)
        assert fakes[0].binaries["hey"] == elf(b"instead of the daemon's")
        with (
            Distributor.connect(socket) as distributor,
            pytest.raises(BinaryError, match="mine"),
        ):
            distributor.add_job(tasks(1, pkg="mine"))


def test_results_hold_their_activations_however_many_they_are(connecting):
    with connecting(2) as (distributor, _):
        job = distributor.add_job(tasks(250))
        job.wait(PATIENCE_S)
        results = list(job.results())
    assert [each.position for each in results] == list(range(250))
    assert all(each.outcome.activations for each in results)


def test_waiting_is_for_the_jobs_of_this_program(connecting, socket):
    with connecting(fake=ENDLESS) as (theirs, fakes):
        endless = Recorder()
        job = theirs.add_job(tasks(1), endless)
        assert endless.first_start.wait(PATIENCE_S)
        with Distributor.connect(socket) as distributor:
            assert distributor.get_distributor_state()
            distributor.wait(PATIENCE_S)
            mine = distributor.add_job(tasks(1))
            with pytest.raises(TimeoutError):
                distributor.wait(0.05)
            fakes[0].faults, fakes[0].time_scale = Faults(), 0.0
            job.cancel()
            distributor.wait(PATIENCE_S)
            assert mine.state is JobState.DONE


def test_a_daemon_that_is_not_there_is_told_and_nothing_is_left(tmp_path):
    before = threading.active_count()
    with pytest.raises(DaemonUnreachableError, match="no daemon answers"):
        Distributor.connect(tmp_path / "none.sock")
    assert threading.active_count() == before


def test_a_pause_of_somebody_else_is_not_undone(connecting, socket):
    with connecting() as (distributor, _), Client(socket) as client:
        client.pause()
        job = distributor.start(tasks(1), wait=False)
        assert client.status().state == "paused"
        assert job.progress.done == 0
        distributor.resume()
        assert job.wait(PATIENCE_S).counts.done == 1


def test_results_of_all_programs_can_be_saved(connecting, socket):
    with connecting() as (distributor, _), Client(socket) as client:
        job = distributor.add_job(tasks(3), labels={"who": "me"})
        distributor.add_job(tasks(2))
        distributor.wait(PATIENCE_S)
        lines = {}
        for name, choice in {"all": {}, "mine": {"labels": {"who": "me"}}}.items():
            file = io.BytesIO()
            assert client.save_results(file, format="jsonl", **choice) == len(file.getvalue())
            lines[name] = [json.loads(line)["run_id"] for line in file.getvalue().splitlines()]
        assert len(lines["all"]) == 5
        assert lines["mine"] == [f"{job.id}-{position}-1" for position in range(3)]
        table = b"".join(client.results(format="csv", job=job.id, since=0.0, target="127.0.0.2"))
        assert len(table.splitlines()) == 4

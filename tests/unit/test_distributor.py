"""The public class, on hosts that are fakes on loopback: blocking calls from any thread.

Most is the same whether it drives the hosts itself, or a daemon does.
"""

import threading
from functools import partial

import pytest
from distributor_tools import (
    ENDLESS,
    PATIENCE_S,
    Monitor,
    Recorder,
    connected,
    elf,
    embedded,
    profile_of,
    tasks,
)

from taskgen.distributor import Distributor
from taskgen.errors import BinaryError, ConfigError, StateError, TaskSetError
from taskgen.events.csv import CsvHandler
from taskgen.events.handler import EventHandler
from taskgen.protocol import Optimize
from taskgen.queue import JobState
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing import Faults


class Witness(EventHandler):
    """Keeps what it is told."""

    def __init__(self):
        self.runs = []
        self.events = []

    def on_event(self, run, event):
        self.events.append((run.id, event))

    def on_finish(self, run):
        self.runs.append(run)


@pytest.fixture(autouse=True)
def binaries(tmp_path, monkeypatch):
    return profile_of(tmp_path, monkeypatch)


@pytest.fixture
def distributing(monkeypatch):
    """Makes a distributor that drives fakes itself."""
    return partial(embedded, monkeypatch)


@pytest.fixture(params=["embedded", "connected"])
def either(request, monkeypatch, tmp_path):
    """Makes a distributor whose fakes are driven by itself, or by a daemon."""
    if request.param == "embedded":
        return partial(embedded, monkeypatch)
    return partial(connected, monkeypatch, tmp_path)


def test_start_runs_all_variants_and_waits(either):
    recorder = Recorder()
    with either(2) as (distributor, _):
        distributor.event_handler = recorder
        job = distributor.start(tasks(), timeout=PATIENCE_S)
        assert recorder.of("finish") == [0, 1, 2, 3, 4]
        assert job.state is JobState.DONE
        assert not distributor.get_distributor_state()
        assert [each.variant for each in job.results()] == [0, 1, 2, 3, 4]


def test_stop_cancels_what_start_began_and_tells_the_handlers_first(either):
    recorder = Recorder()
    with either(fake=ENDLESS) as (distributor, _):
        distributor.event_handler = recorder
        job = distributor.start(tasks(), wait=False)
        assert recorder.first_start.wait(PATIENCE_S)
        distributor.stop(wait=True, timeout=PATIENCE_S)
        assert recorder.calls[-1] == ("stop", 0, "stopped")
        assert job.state is JobState.CANCELLED


def test_data_for_admission_control_go_out_as_optimize(either):
    with either(fake={"optimize": True}) as (distributor, fakes):
        distributor.start(tasks(1), {"fairness": 1}, wait=True, timeout=PATIENCE_S)
        assert Optimize(b"<fairness>1</fairness>") in fakes[0].received


def test_a_monitor_of_the_prototypes_is_told(either):
    monitor = Monitor()
    with either() as (distributor, _):
        distributor.add_job(tasks(1), monitor).wait(PATIENCE_S)
    assert monitor.calls[0] == "start"
    assert monitor.calls[-1] == "finish"


def test_the_second_parameter_may_be_anything_that_the_documents_show(either):
    recorder, monitor = Recorder(), Monitor()
    with either(fake={"optimize": True}) as (distributor, fakes):
        distributor.add_job(tasks(1), [recorder, monitor], {"a": 1}).wait(PATIENCE_S)
        assert Optimize(b"<a>1</a>") in fakes[0].received
    assert recorder.of("finish") == [0]
    assert monitor.calls


def test_a_job_can_be_paused_and_resumed(either):
    with either(fake=ENDLESS) as (distributor, fakes):
        recorder = Recorder()
        first = distributor.add_job(tasks(1), recorder)
        second = distributor.add_job(tasks(2))
        assert recorder.first_start.wait(PATIENCE_S)
        second.pause()
        fakes[0].faults, fakes[0].time_scale = Faults(), 0.0
        first.cancel()
        assert second.state is JobState.PAUSED
        assert second.progress.done == 0
        second.resume()
        assert second.wait(PATIENCE_S).state is JobState.DONE
        with pytest.raises(StateError):
            second.pause()


def test_cancelling_keeps_the_results_that_there_are(either):
    with either() as (distributor, _):
        job = distributor.add_job(tasks(200))
        for _ in job.results():
            break
        job.cancel()
        info = job.wait(PATIENCE_S)
        assert info.state in (JobState.CANCELLED, JobState.DONE)
        assert len(list(job.results())) == info.counts.done


def test_a_copy_is_queued(either):
    recorder = Recorder()
    mine = tasks(2)
    with either() as (distributor, _):
        job = distributor.add_job(mine, recorder)
        mine[0]["period"] = 9999
        mine.append(Task(pkg="hey"))
        job.wait(PATIENCE_S)
    assert recorder.of("finish") == [0, 1]


def test_a_wait_has_its_time_limit_and_the_job_goes_on(either):
    with either(fake=ENDLESS) as (distributor, _):
        job = distributor.add_job(tasks(1))
        with pytest.raises(TimeoutError, match=r"no end within 0\.05 s"):
            job.wait(0.05)
        assert job.state in (JobState.QUEUED, JobState.RUNNING)
        assert distributor.get_distributor_state()


def test_closing_tells_the_handlers_of_what_was_running(either):
    recorder = Recorder()
    with either(fake=ENDLESS) as (distributor, _):
        distributor.add_job(tasks(1), recorder)
        assert recorder.first_start.wait(PATIENCE_S)
        distributor.close(wait=False)
        distributor.wait_closed(PATIENCE_S)
        assert recorder.of("stop") == [0]
        with pytest.raises(StateError, match="closed"):
            distributor.add_job(tasks(1))
        distributor.close()


def test_a_queue_with_a_file_goes_on_in_the_next_program(distributing, tmp_path):
    queue = tmp_path / "queue.sqlite"
    recorder = Recorder()
    with distributing(fake=ENDLESS, queue=queue) as (distributor, _):
        distributor.add_job(tasks(4), recorder, name="mine")
        assert recorder.first_start.wait(PATIENCE_S)
    with distributing(queue=queue) as (distributor, _):
        (job,) = distributor.jobs()
        assert job.wait(PATIENCE_S).name == "mine"
        assert [each.variant for each in job.results()] == [0, 1, 2, 3]


@pytest.mark.parametrize("order", ["fair", "fifo"])
def test_jobs_share_the_hosts_or_come_one_after_the_other_as_the_settings_say(
    distributing, tmp_path, monkeypatch, order
):
    queue = tmp_path / "queue.sqlite"
    monkeypatch.setenv("TASKGEN_RUN__ORDER", order)
    with distributing(fake=ENDLESS, queue=queue) as (distributor, _):
        for _ in range(2):
            distributor.add_job(tasks(4))
    with distributing(queue=queue) as (distributor, _):  # from the first run on, both are there
        first, second = distributor.jobs()
        second.wait(PATIENCE_S)
        first.wait(PATIENCE_S)
        ended = max(each.sequence for each in first.results())
        assert (min(each.sequence for each in second.results()) > ended) is (order == "fifo")


def test_a_handler_of_the_next_program_is_told_everything_and_files_have_it_once(
    distributing, tmp_path
):
    queue, file = tmp_path / "queue.sqlite", tmp_path / "events.csv"
    with distributing(queue=queue) as (distributor, _):
        distributor.add_job(tasks(6), CsvHandler(file)).wait(PATIENCE_S)
    whole = sorted(file.read_text().splitlines())
    # As if the program had been killed between a result and its handler.
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-2]))
    recorder = Recorder()
    with distributing(queue=queue) as (distributor, _):
        (job,) = distributor.jobs()
        job.add_handler([CsvHandler(file), recorder])
    assert sorted(file.read_text().splitlines()) == whole
    assert recorder.of("finish") == [0, 1, 2, 3, 4, 5]


def test_calls_from_many_threads_do_not_meet(either):
    with either(3) as (distributor, _):
        jobs = []

        def add():
            for _ in range(5):
                jobs.append(distributor.add_job(tasks(2)))

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        distributor.wait(PATIENCE_S)
        assert len(jobs) == 20
        assert all(job.progress.done == 2 for job in jobs)


@pytest.mark.parametrize("number", [0, -1, True, 2.0, "2", None])
def test_the_number_of_machines_is_a_whole_number_above_zero(either, number):
    with (
        either() as (distributor, _),
        pytest.raises(ValueError, match="whole number above 0"),
    ):
        distributor.set_max_machine_value(number)


def test_a_distributor_of_hosts_launches_no_machines(either):
    with either() as (distributor, _):
        assert distributor.get_max_machine_value() == 0
        with pytest.raises(ConfigError, match="no machines"):
            distributor.set_max_machine_value(2)


@pytest.mark.parametrize(
    ("taskset", "options", "error", "message"),
    [
        (TaskSet(), {}, TaskSetError, "has no tasks"),
        (tasks(pkg="absent"), {}, BinaryError, "absent"),
        (tasks(numberofjobs=0), {}, TaskSetError, "never ends"),
        (tasks(), {"profile": "linux-x86_64"}, ConfigError, "no target of it here"),
        (tasks(), {"tries": 0}, ValueError, "tries"),
    ],
)
def test_a_job_that_cannot_run_is_refused_at_once(either, taskset, options, error, message):
    with either() as (distributor, _):
        with pytest.raises(error, match=message):
            distributor.add_job(taskset, **options)
        assert distributor.jobs() == []


def test_a_handler_is_told_the_same_in_both_ways(either):
    witness = Witness()
    with either() as (distributor, _):
        job = distributor.add_job(tasks(2), witness, name="mine", duration_s=9.0)
        info = job.wait(PATIENCE_S)
    first, second = witness.runs
    assert [run.id for run in witness.runs] == [f"{job.id}-0-1", f"{job.id}-1-1"]
    assert second.variant.parameters == {"1.period": 11}
    assert first.variant.description().startswith(b"<taskset>")
    assert first.settings.duration_s == 9.0
    assert first.provenance == info.provenance
    assert first.profile == info.profile
    (activation,) = first.outcome.activations
    assert (activation.pkg, activation.exit) == ("hey", "EXIT")
    assert first.outcome.events == tuple(e for run, e in witness.events if run == first.id)
    assert [each.type for each in first.outcome.events] == ["START", "EXIT", "JOBS_DONE"]
    assert first.outcome.target == "127.0.0.2"


def test_what_keeps_failing_is_given_up_and_told_with_its_attempts(either, binaries):
    told = []

    class Mourner(EventHandler):
        def on_bad(self, run, attempts):
            told.append((run.id, [outcome.failure for outcome in attempts]))

    with either(fake=ENDLESS) as (distributor, fakes):
        recorder = Recorder()
        first = distributor.add_job(tasks(1), recorder)
        assert recorder.first_start.wait(PATIENCE_S)
        second = distributor.add_job(tasks(1), Mourner(), tries=2)
        (binaries / "hey").unlink()
        fakes[0].faults, fakes[0].time_scale = Faults(), 0.0
        first.cancel()
        assert second.wait(PATIENCE_S).counts.bad == 1
        assert told == [(f"{second.id}-0-2", ["task", "task"])]
        (binaries / "hey").write_bytes(elf())
        assert second.retry_bad() == 1
        assert second.wait(PATIENCE_S).counts.done == 1


def test_what_is_no_handler_is_refused(either):
    with (
        either() as (distributor, _),
        pytest.raises(ConfigError, match="not an event handler"),
    ):
        distributor.add_job(tasks(), 42)


def test_an_address_that_is_none_is_refused_before_anything_starts():
    before = threading.active_count()
    with pytest.raises(ConfigError):
        Distributor("300.1.2.3/99", profile="board")
    assert threading.active_count() == before

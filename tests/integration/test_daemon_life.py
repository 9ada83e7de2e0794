"""The daemon as a process: one per state directory, its signals, its log, its end and next life."""

import signal
import socket
import stat

import pytest
from daemon_tools import (
    PATIENCE_S,
    daemon,
    look_at,
    queue_job,
    sweep,
    with_boards,
    write_settings,
)

from taskgen.client import Client
from taskgen.interfaces import SessionSettings
from taskgen.queue import JobState
from taskgen.resources import FleetChange
from taskgen.testing import Faults


@pytest.fixture
def state(tmp_path, monkeypatch):
    path = tmp_path / "state"
    path.mkdir()
    monkeypatch.setenv("TASKGEN_STATE", str(path))
    return path


@pytest.fixture
def settings(tmp_path):
    return write_settings(tmp_path / "taskgen.toml")


def test_a_second_daemon_is_refused_and_told_of_the_first(state, settings):
    with daemon(settings) as first:
        with daemon(settings, ready=False) as second:
            assert second.end() == 2
        assert f"{state}: a daemon has it already (pid {first.pid})" in second.messages[0]
        assert first.stop() == 0
    with daemon(settings) as third:
        assert third.stop() == 0


def test_its_directory_is_closed_to_others(state, settings):
    with daemon(settings) as running:
        modes = {
            path.relative_to(state).as_posix(): stat.S_IMODE(path.stat().st_mode)
            for path in [state, *state.rglob("*")]
        }
        assert running.stop() == 0
    assert modes["."] == modes["machines"] == 0o711
    assert modes["secrets"] == modes["binaries"] == 0o700
    databases = {name for name in modes if name.startswith("queue.sqlite")}
    assert databases >= {"queue.sqlite", "queue.sqlite-wal"}
    assert {modes[name] for name in databases} == {0o600}


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fleet]\nmax_machnes = 3\n", "unknown key 'fleet.max_machnes'"),
        ("[fleet]\nlaunch = false\n", "there is nothing to run on"),
    ],
)
def test_bad_settings_are_refused(tmp_path, text, message):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with daemon(file, ready=False) as running:
        assert running.process.wait(PATIENCE_S) == 2
        assert message in running.process.stderr.read()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_lets_what_runs_finish(state, settings, number):
    job = queue_job(state, sweep(3, period_ms=1500))

    def test(board):
        with daemon(settings) as running:
            board.wait_for_start()
            running.signal(number)
            assert running.end() == 0

    with_boards(test)
    info, positions = look_at(state, job)
    assert (info.state, info.counts.done, positions) == (JobState.RUNNING, 1, [0])


def test_what_takes_too_long_to_finish_is_run_again(state, tmp_path):
    settings = write_settings(tmp_path / "s.toml", more="[daemon]\ndrain_s = 0.2\n")
    job = queue_job(state, sweep(1, period_ms=60_000))

    def test(board):
        with daemon(settings) as running:
            board.wait_for_start()
            assert running.stop() == 0
            assert "not all runs were through after 0.2 s; they will be run again" in (
                running.messages
            )

    with_boards(test)
    assert look_at(state, job)[0].counts.done == 0


def test_a_second_interrupt_ends_it_at_once_and_what_ran_is_run_again(state, settings):
    job = queue_job(state, sweep(2, period_ms=60_000))

    def test(board):
        with daemon(settings) as running:
            board.wait_for_start()
            running.signal(signal.SIGINT)
            running.wait_for("SIGINT: ends")
            running.signal(signal.SIGINT)
            assert running.end() == 130
            assert "ended at once; what was running will be run again" in running.messages

    with_boards(test)
    info, positions = look_at(state, job)
    assert (info.counts.done, positions) == (0, [])


def test_a_daemon_that_was_killed_leaves_its_work_to_the_next(state, tmp_path):
    settings = write_settings(tmp_path / "s.toml", boards=3)
    job = queue_job(state, sweep(60, period_ms=100))

    def test(*boards):
        for _ in range(3):
            with daemon(settings) as running:
                for board in boards:
                    board.wait_for_start()
                running.signal(signal.SIGKILL)
                assert running.process.wait() == -signal.SIGKILL
        with daemon(settings) as running:
            running.wait_for(f"job {job} is done")
            assert running.stop() == 0

    with_boards(test, 3)
    info, positions = look_at(state, job)
    assert (info.state, info.counts.done, info.counts.failed_attempts) == (JobState.DONE, 60, 0)
    assert positions == list(range(60))


def test_each_line_of_its_log_is_an_object_that_says_what_it_is_about(state, settings):
    job = queue_job(state, sweep(1), settings=SessionSettings(slack_s=0.2))

    def test(board):
        board.faults = Faults(hang_after_start=True)
        with daemon(settings) as running:
            failed = running.wait_for("failed (")
            assert failed["job"] == job
            assert failed["run"] == f"{job}-0-1"
            assert failed["level"] == "warning"
            assert failed["logger"] == "taskgen.engine"
            assert failed["time"].endswith("+00:00")
            assert running.stop() == 0

    with_boards(test)


def test_the_service_manager_is_told_how_it_is(state, settings, tmp_path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(PATIENCE_S)

        def told(key):
            """The next message with the key, and all that came with it."""
            while True:
                lines = dict(line.split("=", 1) for line in manager.recv(4096).decode().split("\n"))
                if key in lines:
                    return lines

        with daemon(
            settings, ready=False, NOTIFY_SOCKET=address, WATCHDOG_USEC="200000"
        ) as running:
            assert told("READY")["STATUS"] == "1 addresses of hosts, 0 runs queued, idle"
            assert told("WATCHDOG") == {"WATCHDOG": "1"}
            assert told("WATCHDOG") == {"WATCHDOG": "1"}
            running.signal(signal.SIGHUP)
            assert told("RELOADING")["MONOTONIC_USEC"].isdigit()
            assert told("READY")["READY"] == "1"
            running.signal(signal.SIGTERM)
            assert told("STOPPING")["STATUS"] == "lets runs finish"
            assert running.end() == 0


def test_settings_are_read_again_and_a_bad_file_changes_nothing(state, settings):
    with daemon(settings) as running:
        text = settings.read_text()
        settings.write_text(text + "[run]\ntries = 0\n")
        running.signal(signal.SIGHUP)
        assert "the new settings are not used" in running.wait_for("not used")["message"]
        settings.write_text(
            text.replace("port = 3001", "port = 3002")
            + "idle_timeout_s = 5\n[log]\nlevel = 'debug'\n"
        )
        running.signal(signal.SIGHUP)
        assert running.wait_for("holds from now on")["message"] == (
            "holds from now on: fleet.idle_timeout_s, log.level"
        )
        assert running.wait_for("restart")["message"] == "needs a restart: hosts.port"
        assert running.stop() == 0


def test_what_the_settings_do_not_want_kept_is_forgotten_also_when_they_change(state, settings):
    text = settings.read_text()

    def test(board):
        old, young = (queue_job(state, sweep(3), name=name) for name in ("old", "young"))
        with daemon(settings) as running, Client() as client:
            running.wait_for(f"job {old} is done")
            running.wait_for(f"job {young} is done")
            settings.write_text(f"{text}[results]\nruns = 5\n")
            running.signal(signal.SIGHUP)
            assert running.wait_for("holds from now on")["message"].endswith(": results.runs")
            running.wait_for("forgot 1 jobs")
            assert [each.name for each in client.jobs()] == ["young"]
            assert running.stop() == 0
        settings.write_text(f"{text}[results]\nmegabytes = 0.001\n")
        with daemon(settings) as running, Client() as client:
            running.wait_for("forgot 1 jobs")
            assert list(client.jobs()) == []
            assert running.stop() == 0

    with_boards(test)


def test_a_pause_outlives_the_daemon_whatever_its_end(state, settings):
    def test(board):
        with daemon(settings) as running, Client() as client:
            client.change_fleet(FleetChange(paused=True))
            assert client.status().state == "paused"
            assert running.stop() == 0
        job = queue_job(state, sweep(5))
        with daemon(settings) as running, Client() as client:
            assert client.status().state == "paused"
            running.signal(signal.SIGKILL)
            running.end()
        with daemon(settings) as running, Client() as client:
            assert client.job(job).counts.done == 0
            client.change_fleet(FleetChange(paused=False))
            running.wait_for(f"job {job} is done")
            assert running.stop() == 0

    with_boards(test)


def test_the_api_answers_while_runs_finish(state, settings):
    queue_job(state, sweep(2, period_ms=2000))

    def test(board):
        with daemon(settings) as running, Client() as client:
            board.wait_for_start()
            assert client.status().state == "working"
            running.signal(signal.SIGTERM)
            running.wait_for("lets runs finish")
            assert client.status().state == "draining"
            assert running.end() == 0

    with_boards(test)

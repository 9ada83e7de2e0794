"""A disk that is really full: the daemon waits, says so, and goes on by itself without loss."""

import signal
import subprocess

import pytest
from daemon_tools import daemon, look_at, queue_job, sweep, with_boards, write_settings

from taskgen.queue import JobState

#: Of the file system that the state directory is on, in KiB.
SIZE_KB = 2048


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A state directory on a file system of its own, which is small."""
    path = tmp_path / "state"
    path.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_KB}k,mode=711", "taskgen-test", path],
        check=True,
    )
    monkeypatch.setenv("TASKGEN_STATE", str(path))
    yield path
    subprocess.run(["umount", path], check=True)


def fill(path):
    """Take all the room that there is; the file that has it."""
    filler = path / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError:
            return filler


@pytest.fixture
def settings(tmp_path):
    return write_settings(tmp_path / "taskgen.toml", boards=2)


def test_a_full_disk_holds_the_work_up_and_nothing_is_lost(state, settings):
    job = queue_job(state, sweep(120, period_ms=20))

    def test(*boards):
        with daemon(settings) as running:
            boards[0].wait_for_start()
            filler = fill(state)
            stuck = running.wait_for("nothing can be kept")
            assert "database or disk is full" in stuck["message"]
            assert "the work goes on by itself" in stuck["message"]
            running.wait_for("the disk is nearly full: 0.0 MB are left")
            assert running.process.poll() is None
            filler.unlink()
            running.wait_for("over: nothing can be kept")
            running.wait_for(f"job {job} is done")
            assert running.stop() == 0

    with_boards(test, 2)
    info, positions = look_at(state, job)
    assert (info.state, info.counts.done, info.counts.failed_attempts) == (JobState.DONE, 120, 0)
    assert positions == list(range(120))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_daemon_that_ends_while_the_disk_is_full_leaves_the_rest_to_the_next(
    state, tmp_path, number
):
    settings = write_settings(tmp_path / "taskgen.toml", boards=2, more="[daemon]\ndrain_s = 0.5\n")
    job = queue_job(state, sweep(120, period_ms=20))

    def test(*boards):
        with daemon(settings) as running:
            boards[0].wait_for_start()
            filler = fill(state)
            running.wait_for("nothing can be kept")
            running.signal(number)
            status = running.end()
            assert status == (1 if number == signal.SIGTERM else -signal.SIGKILL), "\n".join(
                running.messages
            )
        filler.unlink()
        with daemon(settings) as running:
            running.wait_for(f"job {job} is done")
            assert running.stop() == 0

    with_boards(test, 2)
    info, positions = look_at(state, job)
    assert (info.state, info.counts.done, info.counts.failed_attempts) == (JobState.DONE, 120, 0)
    assert positions == list(range(120))

"""A daemon that is wished more machines than the memory has room for."""

from __future__ import annotations

import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_world import Daemon, asked, done, job_now, machines_now, until
from world import nothing_left

from taskgen.host.qemu_command import Accelerator, overhead_mb
from taskgen.profiles import load_profile

ONE_MB = load_profile("linux-x86_64").memory_mb + overhead_mb(Accelerator.TCG)


class Roomy(Daemon):
    """A daemon with a file of settings."""

    def __init__(self, state: Path) -> None:
        self.settings = state / "taskgen.toml"
        self.write(machines=1)
        super().__init__(state, TASKGEN_CONFIG=str(self.settings))

    def write(self, *, machines: float) -> None:
        """Let the memory have room for so many."""
        self.settings.write_text(f"[fleet]\nmemory_mb = {int(machines * ONE_MB)}\n")


@pytest.fixture
def roomy() -> Iterator[Roomy]:
    """It leaves nothing behind."""
    with nothing_left(), tempfile.TemporaryDirectory(dir="/run") as state:
        made = Roomy(Path(state))
        try:
            yield made
        finally:
            status = made.end()
        assert status == 0, "".join(made.said)


def test_the_memory_bounds_the_machines_and_more_come_once_it_has_room(roomy):
    said = done("fleet", "set-max", "3").out
    assert said.startswith("at most 1 machines; 3 are wished\n")
    assert "3 machines are wished, the memory has room for 1 of 96 + " in said
    assert "raise fleet.memory_mb" in said

    job = done("job", "add", "example.Hey", "--set", "hey.priority=1..100", "-q").out.strip()
    until(lambda: machines_now("running") and job_now(job).counts.done)
    assert machines_now() == ["taskgen-1"]
    fleet = asked("fleet", "show")
    assert (fleet["max_machines"], fleet["in_effect"], fleet["memory_room"]) == (3, 1, 1)
    status = done("status").out  # it is no problem: the exit status is 0
    assert re.search(r"\(at most 3 wished, 1 possible\)", status)
    assert re.search(r"the memory has\s+room for 1 of", status)

    roomy.write(machines=2.5)
    roomy.process.send_signal(signal.SIGHUP)
    until(lambda: machines_now("running") == ["taskgen-1", "taskgen-2"])
    assert asked("fleet", "show")["in_effect"] == 2

    roomy.write(machines=1)
    roomy.process.send_signal(signal.SIGHUP)
    until(lambda: machines_now() == ["taskgen-1"])
    assert job_now(job).counts.failed_attempts == 0
    done("job", "cancel", job)

"""A daemon whose machines have more vCPUs than it may use cores, and where they run."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import taskgen
from daemon_world import Daemon, asked, done, job_now, machines_now, running, until
from world import nothing_left

CORE = str(max(os.sched_getaffinity(0)))
REMARK = "2 machines have 2 vCPUs and may use 1 of the host's cores"


@pytest.fixture
def on_one_core() -> Iterator[Daemon]:
    """A daemon that may use one core only; it leaves nothing behind."""
    with (
        nothing_left(),
        tempfile.TemporaryDirectory(dir="/run") as state,
        running(Path(state), ["taskset", "-c", CORE], TASKGEN_QEMU__CPUS="auto") as made,
    ):
        yield made


def results_of(job: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(done("results", "export", "--job", job).out)))


def add_job(runs: int) -> str:
    said = done("job", "add", "example.Hey", "--set", f"hey.priority=1..{runs}", "-q")
    return said.out.strip()


def test_only_machines_that_are_too_many_are_warned_of_and_mark_their_results(on_one_core):
    alone = add_job(2)
    until(lambda: job_now(alone).state == "done")
    assert asked("fleet", "show")["reasons"] == []
    assert asked("machine", "show", "taskgen-1")["pinned_cpus"] == CORE
    for row in results_of(alone):
        assert (row["cpus_overcommitted"], row["memory_overcommitted"]) == ("false", "false")
        assert (row["host_cores"], row["fleet_vcpus"], row["pinned_cpus"]) == ("1.0", "1", CORE)
        assert float(row["vcpu_wait_ms"]) >= 0
        assert 0 <= float(row["host_steal_share"]) <= 1

    assert REMARK in done("fleet", "set-max", "2").out
    beside = add_job(30)
    until(lambda: len(machines_now("running")) == 2)
    until(lambda: job_now(beside).state == "done")
    assert REMARK in " ".join(done("fleet", "show").out.split())
    status = done("status").out  # it is no problem: the exit status is 0
    assert REMARK in " ".join(status.split())
    marked = [row for row in results_of(beside) if row["cpus_overcommitted"] == "true"]
    assert marked
    assert {row["fleet_vcpus"] for row in marked} == {"2"}
    assert {row["pinned_cpus"] for row in marked} <= {"", CORE}  # a run may be under way just then
    assert marked[-1]["pinned_cpus"] == ""  # both on one core would do nobody good
    assert sum(REMARK in line for line in on_one_core.said) == 1


@pytest.mark.parametrize("words", [("daemon",), ("run", "example.Hey", "--embedded")])
def test_a_core_that_this_host_does_not_have_is_named_before_anything_is_made(own_world, words):
    with nothing_left(), tempfile.TemporaryDirectory(dir="/run") as state:
        said = taskgen(*words, TASKGEN_STATE=state, TASKGEN_QEMU__CPUS=f'["{CORE}", 4000]')
    assert said.status == 2
    assert re.search(r"qemu\.cpus: this host has no core 4000 that may be\s+used", said.err)

"""The distributor as its users write it: real machines, real guests and fakes at addresses."""

import asyncio
import csv
import threading
from collections import Counter

import pytest
from test_hosts import fakes, guests, lab  # noqa: F401 - a fixture

from taskgen.distributor import Distributor
from taskgen.errors import ConfigError
from taskgen.events.handler import EventHandler
from taskgen.events.logging import LoggingMonitor
from taskgen.queue import JobState
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.tasksets.example import Demo
from taskgen.tasksets.hey import Hey1TaskSet

PATIENCE_S = 400

#: As the prototypes' users have it.
ON_HOSTS = """
from taskgen.tasksets.hey import Hey1TaskSet
from taskgen.distributor import Distributor
from taskgen.events.csv import CsvHandler

distributor = Distributor(["172.25.1.0/24", "172.49.1.0/24"])
distributor.event_handler = CsvHandler("events.csv")
taskset = Hey1TaskSet()
distributor.start(taskset, wait=False)
distributor.stop(wait=True)
distributor.start(taskset, ADMISSION_CTRL_DATA, wait=True)
distributor.close(wait=False)
distributor.wait_closed()
"""


@pytest.fixture(autouse=True)
def emulated(monkeypatch):
    monkeypatch.setenv("TASKGEN_QEMU__ACCELERATOR", "tcg")


@pytest.mark.usefixtures("lab")
def test_hosts_in_ranges_are_driven_as_the_users_write_it(profile, network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def as_the_user():
        exec(ON_HOSTS, {"ADMISSION_CTRL_DATA": {"fairness": {"apply": "1"}}})

    async def main():
        knowing = {"optimize": True}
        async with (
            guests(profile, network, 1),
            fakes({"172.49.1.3": knowing, "172.49.1.200": knowing}),
            asyncio.timeout(PATIENCE_S),
        ):
            await asyncio.to_thread(as_the_user)

    asyncio.run(main())
    with (tmp_path / "events.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["result"] == "ok"]
    # The first start may have been stopped before or after its only run was through.
    assert len(rows) in (1, 2)
    assert {row["target"].rsplit(".", 2)[0] for row in rows} <= {"172.25", "172.49"}


class Recorder(EventHandler):
    def __init__(self):
        self.finished = []
        self.stopped = []
        self.started = threading.Event()

    def on_event(self, run, event):
        self.started.set()

    def on_finish(self, run):
        self.finished.append((run.variant.index, run.outcome.failure))

    def on_stop(self, run, reason):
        self.stopped.append(run.variant.index)


def test_machines_are_driven_as_the_users_write_it():
    dist = Distributor()
    try:
        job = dist.add_job(Hey1TaskSet(), LoggingMonitor())
        recorder = Recorder()
        second = dist.add_job(Demo(), recorder)
        dist.set_max_machine_value(4)
        assert dist.get_max_machine_value() == 4
        assert dist.get_distributor_state()
        assert job.wait(PATIENCE_S).state is JobState.DONE

        dist.set_max_machine_value(1)
        dist.kill_all_machines(PATIENCE_S)
        assert dist.status.machines == {}
        dist.resume()
        assert second.wait(PATIENCE_S).counts.done == 8
        assert Counter(index for index, failure in recorder.finished if not failure) == Counter(
            range(8)
        )
        assert not dist.get_distributor_state()
        dist.shut_down_all_machines(PATIENCE_S)
        assert dist.status.machines == {}
        third = dist.add_job(Hey1TaskSet())
        dist.resume()
        assert third.wait(PATIENCE_S).state is JobState.DONE
    finally:
        dist.close()


def test_more_machines_than_the_network_holds_are_kept_as_a_wish():
    with Distributor(machines=99) as dist:
        assert dist.get_max_machine_value() == 99
        status = dist.status
        assert status.machines_in_effect == 42
        assert status.reasons[0] == "99 machines are wished, the network has room for 42"


def test_more_machines_than_the_memory_holds_are_kept_as_a_wish(monkeypatch, caplog):
    monkeypatch.setenv("TASKGEN_FLEET__MEMORY_MB", "400")
    with Distributor(machines=3) as dist:
        reason = (
            "3 machines are wished, the memory has room for 2 of 96 + 96 MiB in 400 MiB"
            " (lower memory_mb in the profile, or raise fleet.memory_mb)"
        )
        assert dist.status.machines_in_effect == 2
        assert dist.status.reasons[0] == reason
        assert caplog.messages.count(reason) == 1
        dist.set_max_machine_value(2)
        assert dist.status.machines_in_effect == 2
        assert reason not in dist.status.reasons
        dist.set_max_machine_value(5)
        assert dist.get_max_machine_value() == 5
        assert dist.status.machines_in_effect == 2


@pytest.mark.usefixtures("lab")
def test_machines_and_hosts_work_on_one_job(profile, network):
    async def main():
        async with fakes({"172.49.1.3": {}}), asyncio.timeout(PATIENCE_S):
            await asyncio.to_thread(both)

    def both():
        task = Task(pkg="hey", period=200, numberofjobs=5, priority=list(range(20)))
        with Distributor(hosts="172.49.1.3", machines=1) as dist:
            job = dist.add_job(TaskSet([task]))
            job.wait(PATIENCE_S)
            targets = Counter(each.outcome.target for each in job.results())
            assert sum(targets.values()) == 20
            assert set(targets) == {"taskgen-1", "172.49.1.3"}

    asyncio.run(main())


def test_stopping_tells_the_handlers_and_the_machine_goes_on():
    endless = TaskSet([Task(pkg="idle", config={"arg1": 0}, period=0)])
    recorder = Recorder()
    with Distributor(machines=1) as dist:
        dist.event_handler = recorder
        dist.start(endless, wait=False)
        assert recorder.started.wait(PATIENCE_S)
        dist.stop(wait=True, timeout=PATIENCE_S)
        assert recorder.stopped == [0]
        machines = dist.status.machines
        assert dist.start(Hey1TaskSet(), timeout=PATIENCE_S).state is JobState.DONE
        assert dist.status.machines.keys() == machines.keys()


def test_data_for_admission_control_are_refused_where_the_profile_does_not_know_them(
    tmp_path, monkeypatch, profile
):
    text = (tmp_path / "deaf.toml").write_text
    text(
        f'description = "x"\narchitecture = "x86_64"\nemulator = "qemu-system-x86_64"\n'
        f'machine = "q35"\nmemory_mb = 96\nkernel = "{profile.kernel}"\n'
        f'initrd = "{profile.initrd}"\nappend = "{profile.append}"\n'
        f'binaries = "{profile.binaries}"\noptimize = false\n[nic]\nmodel = "virtio-net-pci"\n'
    )
    monkeypatch.setenv("TASKGEN_PROFILES", str(tmp_path))
    with Distributor(machines=1, profile="deaf") as dist:
        with pytest.raises(ConfigError, match="does not know OPTIMIZE"):
            dist.add_job(Hey1TaskSet(), {"fairness": 1})
        assert dist.jobs() == []
        assert dist.status.machines == {}

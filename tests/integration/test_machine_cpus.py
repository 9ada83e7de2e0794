"""On which cores the threads of a real QEMU run, and what is known of their waiting."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from host_tools import fleet
from test_machine import kind_of, run_of

from taskgen.load import Capacity, Load
from taskgen.machine import Machine
from taskgen.placement import Placement
from taskgen.task import Task

CORES = os.sched_getaffinity(0)
ONE = frozenset({max(CORES)})
HEY = Task(pkg="hey", period=50, numberofjobs=4)


def affinities(pid):
    """Of QEMU's threads: those that execute the guest, and the others."""
    vcpus, others = [], []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        executes = (thread / "comm").read_text().startswith("CPU ")
        (vcpus if executes else others).append(os.sched_getaffinity(int(thread.name)))
    assert vcpus
    assert others
    return vcpus, others


def load_of(profile, *sets, cores=2.0):
    return Load(kind_of(profile).demand, Capacity(cores=cores), Placement(sets, shared=True))


@asynccontextmanager
async def stopped_at_the_end(machine):
    try:
        yield machine
    finally:
        await machine.stop()


def test_only_vcpus_are_pinned_and_a_run_tells_it(profile, network):
    load = load_of(profile, ONE)

    async def main():
        async with fleet(network) as (directory, net):
            machine = Machine(network.slot(1), kind_of(profile), net, directory, load=load)
            async with stopped_at_the_end(machine):
                await machine.start()
                vcpus, others = affinities(machine.qemu.pid)
                assert vcpus == [ONE]
                assert all(each == CORES for each in others)
                assert machine.info.pinned_cpus == str(*ONE)
                outcome = await machine.execute(run_of(HEY), lambda event: None)
                told = outcome.provenance
                assert told["pinned_cpus"] == str(*ONE)
                assert told["vcpu_wait_ms"] >= 0
                assert 0 <= told["host_steal_share"] <= 1
                assert (told["host_cores"], told["fleet_vcpus"]) == (1, 1)
                assert told["cpus_overcommitted"] is told["memory_overcommitted"] is False

                load.change(Capacity(cores=2), Placement())
                assert affinities(machine.qemu.pid)[0] == [ONE]  # until the next run
                outcome = await machine.execute(run_of(HEY), lambda event: None)
                assert affinities(machine.qemu.pid)[0] == [CORES]
                assert (machine.info.pinned_cpus, outcome.provenance["pinned_cpus"]) == ("", "")
                assert outcome.provenance["host_cores"] == 2
            assert not load.begin(1).vcpus

    asyncio.run(main())


@pytest.mark.parametrize(("sets", "expected"), [((ONE,), ONE), ((), CORES)])
def test_an_adopted_machine_is_put_where_the_placement_says_now(profile, network, sets, expected):
    before = load_of(profile, CORES) if sets else load_of(profile, ONE)

    async def main():
        async with fleet(network) as (directory, net):
            first = Machine(network.slot(1), kind_of(profile), net, directory, load=before)
            await first.start()
            pid = first.qemu.pid
            await first.release()
            (record,) = directory.machine_records()
            now = load_of(profile, *sets)
            second = Machine(network.slot(1), kind_of(profile), net, directory, load=now)
            async with stopped_at_the_end(second):
                await second.adopt(record)
                assert second.qemu.pid == pid
                assert affinities(pid)[0] == [expected]
            return pid

    os.waitpid(asyncio.run(main()), 0)  # it was our child before we adopted it


def test_a_machine_that_cannot_be_pinned_runs_unpinned_and_says_so(profile, network, caplog):
    load = load_of(profile, frozenset({4000}))

    async def main():
        async with fleet(network) as (directory, net):
            machine = Machine(network.slot(1), kind_of(profile), net, directory, load=load)
            async with stopped_at_the_end(machine):
                await machine.start()
                outcome = await machine.execute(run_of(HEY), lambda event: None)
                assert outcome.failure is None
                assert outcome.provenance["pinned_cpus"] == ""

    asyncio.run(main())
    warnings = [
        r.getMessage() for r in caplog.records if "cannot be pinned to 4000" in r.getMessage()
    ]
    assert len(warnings) == 1

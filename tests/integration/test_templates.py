"""Machines that go on from one template: each is itself, and one that is bad is left."""

import asyncio
import os
import re
import subprocess
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from host_tools import fleet
from test_session_manager import HEY, execute

from taskgen.binaries import Binaries
from taskgen.errors import AdoptionError
from taskgen.host.control_port import ControlPort
from taskgen.host.qemu_command import Accelerator
from taskgen.host.snapshot_store import SnapshotStore
from taskgen.machine import Machine
from taskgen.machine_kind import MachineKind
from taskgen.machine_template import with_templates
from taskgen.run_settings import Reset

LIMIT_S = 60

#: A task that says what is to differ between machines, and what is to be right.
WHO = r"""
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
int main(void)
{
    unsigned long long random = 0;
    struct timespec now;
    getrandom(&random, sizeof random, 0);
    clock_gettime(CLOCK_REALTIME, &now);
    printf("WHO %016llx %lld.%03ld\n", random, (long long)now.tv_sec, now.tv_nsec / 1000000);
}
"""


@pytest.fixture
def endless(network):
    """The network as it is where states are saved."""
    return replace(network, lease_time_s="infinite")


@pytest.fixture
def tasks(tmp_path):
    """A directory with the task ``who``."""
    source = tmp_path / "who.c"
    source.write_text(WHO)
    words = ["musl-gcc", "-Os", "-static", "-s", "-D_GNU_SOURCE", "-o", str(tmp_path / "who")]
    subprocess.run([*words, str(source)], check=True)
    return tmp_path


@asynccontextmanager
async def templated(profile, network, path, tasks=None, *, reset=Reset.SNAPSHOT):
    """The kind of machines that have a template, in a fleet; and that."""
    directories = [*([tasks] if tasks else []), profile.binaries]
    kind = with_templates(
        MachineKind(
            profile=profile,
            accelerator=Accelerator.TCG,
            binaries=Binaries(directories, profile.architecture),
            reset=reset,
            snapshots=SnapshotStore(path),
        ),
        network,
    )
    assert kind.templates
    try:
        async with fleet(network) as (directory, net):
            yield kind, directory, net
    finally:
        kind.templates.close()


@asynccontextmanager
async def machines(kind, directory, net, *slots):
    """Machines of these slots, started at the same time."""
    made = [Machine(net.network.slot(number), kind, net, directory) for number in slots]
    async with AsyncExitStack() as stack:
        for machine in made:
            stack.push_async_callback(machine.stop)
        await asyncio.gather(*(machine.start() for machine in made))
        yield made


async def who(machine):
    """What the task ``who`` has printed: a random number, and by how much the clock was wrong."""
    outcome = await execute(machine, {"pkg": "who", "period": 0})
    assert outcome.failure is None, outcome.reason
    console = machine.qemu.console
    assert await console.wait_for(r"WHO \S+ \S+\n", LIMIT_S)
    number, clock = re.findall(r"WHO (\S+) (\S+)", console.tail())[-1]
    return number, abs(float(clock) - time.time())


def pss_kb(machine):
    rollup = Path(f"/proc/{machine.qemu.pid}/smaps_rollup").read_text()
    return int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])


def test_machines_of_one_template_are_not_each_other(profile, endless, tmp_path, tasks):
    async def main():
        async with (
            templated(profile, endless, tmp_path / "store", tasks) as (kind, *place),
            machines(kind, *place, 1, 2) as made,
        ):
            assert [each.info.address for each in made] == ["10.200.45.1", "10.200.45.2"]
            assert len({each.qemu.record.template for each in made} - {""}) == 1
            net = place[-1]
            for each in made:
                answers = await net.who_has(each.info.address)
                assert set(answers) == {each.slot.mac}

            told = await asyncio.gather(*(who(each) for each in made))
            again = await asyncio.gather(*(who(each) for each in made))
            numbers = [number for number, _ in (*told, *again)]
            assert len(set(numbers)) == len(numbers)
            assert max(wrong_s for _, wrong_s in (*told, *again)) < 30  # what the task took, too

            shared_kb = max(pss_kb(each) for each in made)
            async with machines(replace(kind, templates=None), *place, 3) as (cold,):
                assert cold.qemu.record.template == ""
                assert shared_kb <= 0.5 * pss_kb(cold)

    asyncio.run(main())


def test_each_run_has_a_fresh_guest_and_the_next_engine_the_same_template(
    profile, endless, tmp_path
):
    async def perform(runs):
        """The origins of these runs; the template that the machine came from."""
        async with (
            templated(profile, endless, tmp_path) as (kind, *place),
            machines(kind, *place, 1) as (machine,),
        ):
            tag = machine.qemu.record.template
            uuids, origins, console = set(), set(), machine.console_hub
            for count in range(1, runs + 1):
                outcome = await execute(machine, HEY)
                assert outcome.failure is None, outcome.reason
                assert outcome.provenance["runs_since_boot"] == 0
                assert outcome.provenance["reset"] == "snapshot"
                assert machine.info.runs == count
                uuids.add(machine.qemu.record.uuid)
                origins.add(outcome.provenance["snapshot"])
            assert len(uuids) == runs
            for _ in range(runs - 1):  # whoever watches is led from one QEMU to the next
                assert console.closed
                console = await console.next()
            assert console is machine.console_hub
            assert origins == {tag}
            assert kind.snapshots.usage().snapshots == 1
        assert await console.next() is None
        return tag

    async def main():
        tag = await perform(3)
        assert tag.startswith("template-")
        assert await perform(1) == tag

    asyncio.run(main())


def test_the_address_that_a_machine_was_told_is_listed_while_it_lives(profile, network, tmp_path):
    async def main():
        async with templated(profile, network, tmp_path, reset=Reset.CLEAR) as (kind, *place):
            _, net = place
            async with machines(kind, *place, 1):
                (lease,) = net.leases.all().values()
                assert (str(lease.address), lease.expires) == ("10.200.45.1", None)
            assert net.leases.all() == {}

    asyncio.run(main())


def test_a_machine_of_the_template_is_adopted_with_the_address_that_it_was_told(
    profile, endless, tmp_path
):
    async def left(kind, directory, net):
        """The record of a machine that was left running, and its process."""
        machine = Machine(net.network.slot(1), kind, net, directory)
        await machine.start()
        pid, saved_at = machine.qemu.pid, machine.info.saved_at
        await machine.release()
        (record,) = directory.machine_records()
        assert saved_at == record.template_saved_at
        return record, pid

    async def main():
        """The last process that was left."""
        async with templated(profile, endless, tmp_path) as (kind, directory, net):
            record, _ = await left(kind, directory, net)
            net.leases.forget(net.network.slot(1).mac)  # as if another engine had told it
            adopted = Machine(net.network.slot(1), kind, net, directory)
            try:
                await adopted.adopt(record)
                assert adopted.info.address == "10.200.45.1"
                assert adopted.info.saved_at == record.template_saved_at is not None
                outcome = await execute(adopted, HEY)
                assert outcome.failure is None, outcome.reason
                assert outcome.provenance["snapshot"] == record.template
                assert outcome.provenance["snapshot_saved_at"] == adopted.info.saved_at
            finally:
                await adopted.stop()

            record, pid = await left(kind, directory, net)
            other = Machine(net.network.slot(1), replace(kind, templates=None), net, directory)
            with pytest.raises(AdoptionError, match="not what would be launched now"):
                await other.adopt(record)
            await other.stop()
            return pid

    os.waitpid(asyncio.run(main()), 0)  # it is still our child


def test_a_machine_that_was_not_told_yet_who_it_is_is_not_adopted(
    profile, endless, tmp_path, monkeypatch
):
    told = ControlPort.tell

    async def main():
        async with templated(profile, endless, tmp_path) as (kind, directory, net):
            noted = []

            async def tell(*words):
                noted.extend(directory.machine_records())
                return await told(*words)

            monkeypatch.setattr(ControlPort, "tell", tell)
            slot = net.network.slot(1)
            machine = Machine(slot, kind, net, directory)
            await machine.start()
            pid = machine.qemu.pid
            await machine.release()
            other = Machine(slot, kind, net, directory)
            with pytest.raises(AdoptionError, match="taskgen-1: its launch was not finished"):
                await other.adopt(noted[-1])
            await other.stop()
            return pid

    os.waitpid(asyncio.run(main()), 0)  # it is still our child


def test_where_only_tasks_are_cleared_a_machine_starts_from_the_template_and_stays(
    profile, network, tmp_path, tasks
):
    """Unless it has to start anew: then from the template, and once there is none by a boot."""
    home = tmp_path / "store"

    async def main():
        async with (
            templated(profile, network, home, tasks, reset=Reset.CLEAR) as (kind, *place),
            machines(kind, *place, 1) as (machine,),
        ):
            template, first = machine.qemu.record.template, machine.qemu.record.uuid
            assert template.startswith("template-")
            for runs in range(2):
                told = await provenance_of(machine)
                assert (told["reset"], told["runs_since_boot"]) == ("clear", runs)
                assert told["snapshot"] == template
            assert machine.qemu.record.uuid == first

            changed(tasks / "who")
            told = await provenance_of(machine)
            second = machine.qemu.record
            assert (told["runs_since_boot"], told["snapshot"]) == (0, template)
            assert (second.uuid != first, second.template) == (True, template)

            while kind.templates.exist:
                await kind.templates.drop(await kind.templates.get(rubbish), "for a test")
            changed(tasks / "who")
            told = await provenance_of(machine)
            assert machine.qemu.record.template == ""
            assert (told["runs_since_boot"], "snapshot" in told) == (0, False)
            assert machine.info.saved_at is None

    asyncio.run(main())


async def provenance_of(machine):
    """That of a run of the task ``who``."""
    outcome = await execute(machine, {"pkg": "who", "period": 0})
    assert outcome.failure is None, outcome.reason
    return outcome.provenance


def changed(program):
    """Make it another file that does the same."""
    program.write_bytes(program.read_bytes() + b"\0")


async def rubbish(template):
    """Makes a template that no machine can go on from."""
    template.state.write(0, b"no state of any device")

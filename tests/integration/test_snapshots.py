"""Machines that go back to a saved state: made, gone back to, started from, adopted."""

import asyncio
import os
import time
from contextlib import suppress
from dataclasses import replace

import pytest
from host_tools import fleet
from snapshot_tools import image_in, kind_of, started
from test_session_manager import FAILS, HEY, STALLS, execute

from taskgen.binaries import Binaries
from taskgen.errors import MachineError
from taskgen.host.console_boots import Why
from taskgen.host.snapshot_drive import SnapshotDrive
from taskgen.host.snapshot_file import opened
from taskgen.interfaces import FailureClass
from taskgen.lifecycle import MachineState
from taskgen.machine import Machine
from taskgen.machine_template import with_templates
from taskgen.provenance import files_sha256


@pytest.fixture
def network(network):
    """The network as it is where states are saved."""
    return replace(network, lease_time_s="infinite")


#: With virtual time a QEMU goes back in place; else another one starts from the state.
in_place_or_not = pytest.mark.parametrize("icount", [False, True])


@in_place_or_not
def test_each_run_begins_from_the_saved_state_and_another_machine_starts_from_it(
    profile, network, tmp_path, icount
):
    kind = kind_of(profile, tmp_path, icount=icount)

    async def main():
        async with fleet(network) as (directory, net):
            async with started(kind, net, directory) as machine:
                tags, clocks_us, pids = set(), [], set()
                for _ in range(3):
                    outcome = await execute(machine, HEY)
                    assert outcome.failure is None, outcome.reason
                    assert outcome.provenance["reset"] == "snapshot"
                    assert outcome.provenance["runs_since_boot"] == 0
                    assert outcome.provenance["snapshot_saved_at"] == machine.info.saved_at
                    tags.add(outcome.provenance["snapshot"])
                    clocks_us.append(outcome.events[0].at_us)
                    pids.add(machine.qemu.pid)
                assert len(pids) == (1 if icount else 3)
                # It has forgotten its uploads.
                sent = 3 if icount else 1  # on this QEMU's console
                assert await machine.qemu.console.wait_for(f"(?s)(binary hey.*){{{sent}}}", 60)
                assert machine.qemu.console.tail(200).count("binary hey") == sent
                # Its clock does not even go on by the spans of the runs, boots and pauses.
                assert max(clocks_us) - min(clocks_us) < 1_000_000, clocks_us
            async with started(kind, net, directory) as machine:
                assert machine.qemu.pid not in pids
                assert machine.qemu.log.boots[-1].why is Why.SNAPSHOT
                assert "Linux" not in machine.qemu.console.tail(200)
                assert machine.info.address == "10.200.45.1"
                outcome = await execute(machine, HEY)
                assert outcome.failure is None, outcome.reason
                tags.add(outcome.provenance["snapshot"])
            assert len(tags) == 1
            assert kind.snapshots.usage().snapshots == 1

    asyncio.run(main())


@pytest.mark.parametrize("templates", [False, True])
def test_a_run_tells_the_image_that_its_guest_has_booted_from(
    profile, network, tmp_path, templates
):
    image = tmp_path / "kernel"
    image.write_bytes(profile.kernel.read_bytes())
    profile = replace(profile, kernel=image)
    told_at_start = {"image_sha256": files_sha256(profile.image_files())}
    kind = kind_of(profile, tmp_path / "store", provenance=told_at_start)
    if templates:
        kind = with_templates(kind, network)

    async def main():
        async with fleet(network) as (directory, net), started(kind, net, directory) as machine:
            for _ in range(2):
                outcome = await execute(machine, HEY)
                assert outcome.failure is None, outcome.reason
                now = files_sha256(profile.image_files())
                assert outcome.provenance["image_sha256"] == now
                with image.open("ab") as file:
                    file.write(b"built anew")
            assert now != told_at_start["image_sha256"]

    try:
        asyncio.run(main())
    finally:
        if kind.templates:
            kind.templates.close()


def test_what_else_makes_a_guest_start_anew_has_it_go_back_too(profile, network, tmp_path):
    binaries = tmp_path / "binaries"
    binaries.mkdir()
    kind = replace(
        kind_of(profile, tmp_path / "store"), binaries=Binaries([binaries], profile.architecture)
    )

    async def main():
        async with (
            fleet(network) as (directory, net),
            started(kind, net, directory) as machine,
        ):
            for binary, exits in (("hey", "EXIT"), ("idle", "EXIT_ERROR")):
                (binaries / "hey").write_bytes((profile.binaries / binary).read_bytes())
                outcome = await execute(machine, FAILS)
                assert [each.exit for each in outcome.activations] == [exits]
            (binaries / "idle").write_bytes((profile.binaries / "idle").read_bytes())
            stalled = await execute(machine, STALLS, slack_s=0.5, margin=1.0)
            assert stalled.failure is FailureClass.TASK
            outcome = await execute(machine, FAILS)
            assert outcome.failure is None, outcome.reason
            assert outcome.provenance["reset"] == "snapshot"

    asyncio.run(main())


@in_place_or_not
def test_an_adopted_machine_goes_back_to_the_state_that_it_was_launched_with(
    profile, network, tmp_path, icount
):
    kind = kind_of(profile, tmp_path, icount=icount)

    async def main():
        async with fleet(network) as (directory, net):
            first = Machine(network.slot(1), kind, net, directory)
            try:
                await first.start()
                assert (await execute(first, HEY)).failure is None
                tag, pid = first._body.launched.saved.snapshot.tag, first.qemu.pid
            finally:
                await first.release()
            net.leases.forget("0a:06:00:00:00:01")
            (record,) = directory.machine_records()
            second = Machine(network.slot(1), kind, net, directory)
            try:
                await second.adopt(record)
                assert second.qemu.pid == pid
                outcome = await execute(second, HEY)
                assert outcome.failure is None, outcome.reason
                assert outcome.provenance["snapshot"] == tag
                assert outcome.provenance["runs_since_boot"] == 0
                assert opened(image_in(tmp_path)) is None  # it is still nobody else's
            finally:
                await second.stop()
            return pid

    pid = asyncio.run(main())
    with suppress(ChildProcessError):  # it was our child before we adopted it
        os.waitpid(pid, 0)


def test_two_fleets_share_the_store_and_none_has_the_state_of_a_machine_that_runs(
    profile, network, tmp_path
):
    kind = kind_of(profile, tmp_path)

    async def main():
        async with fleet(network) as (directory, net), fleet(network) as (other, other_net):
            async with (
                started(kind, net, directory) as one,
                started(kind, other_net, other) as two,
            ):
                assert one.info.mac == two.info.mac
                tags = {}
                for machine in (one, two, one):
                    outcome = await execute(machine, HEY)
                    assert outcome.failure is None, outcome.reason
                    tags.setdefault(machine, set()).add(outcome.provenance["snapshot"])
                assert [len(each) for each in tags.values()] == [1, 1]
                assert tags[one] != tags[two]
            assert kind.snapshots.usage().snapshots == 2
            async with started(kind, other_net, other) as three:
                assert three.qemu.log.boots[-1].why is Why.SNAPSHOT
                assert three.state is MachineState.READY

    asyncio.run(main())


def test_qemu_killed_while_it_is_given_the_state_leaves_that_for_the_next(
    profile, network, tmp_path, monkeypatch
):
    kind = kind_of(profile, tmp_path)
    opens = SnapshotDrive.open

    async def main():
        async with fleet(network) as (directory, net):
            async with started(kind, net, directory):
                pass
            machine = Machine(network.slot(1), kind, net, directory)

            async def killed(*args, **options):
                machine.qemu.process.signal(9)
                await machine.qemu.died()
                await opens(*args, **options)

            monkeypatch.setattr(SnapshotDrive, "open", killed)
            try:
                with pytest.raises(MachineError):
                    await machine.start()
            finally:
                await machine.stop()
            assert kind.snapshots.usage().snapshots == 1

    asyncio.run(main())


def test_a_guest_that_goes_on_from_a_state_has_its_address_for_good_whatever_lease_was_left(
    profile, network, tmp_path
):
    kind, mac = kind_of(profile, tmp_path), network.slot(1).mac

    async def main():
        async with fleet(network) as (directory, net):
            async with started(kind, net, directory) as machine:
                lease = net.leases.current(mac)
                assert lease.expires is None
            net.leases.forget(mac)
            net.leases.learn({mac: replace(lease, expires=int(time.time()) + 600)})
            async with started(kind, net, directory) as machine:
                assert machine.qemu.log.boots[-1].why is Why.SNAPSHOT
                assert net.leases.current(mac) == lease

    asyncio.run(main())

"""Machines that go back to a saved state: made, gone back to, started from, and given up."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from host_tools import fleet
from test_session_manager import HEY, execute

from taskgen.binaries import Binaries
from taskgen.host.console_boots import Why
from taskgen.host.qemu_command import Accelerator
from taskgen.host.snapshot_store import SnapshotStore
from taskgen.machine import Machine
from taskgen.machine_kind import MachineKind
from taskgen.settings import Reset


@pytest.fixture
def endless(network):
    """The network as it is where states are saved."""
    return replace(network, lease_time_s="infinite")


def kind_of(profile, path, **options):
    return MachineKind(
        profile=profile,
        accelerator=Accelerator.TCG,
        binaries=Binaries([profile.binaries], profile.architecture),
        reset=Reset.SNAPSHOT,
        snapshots=SnapshotStore(path),
        **options,
    )


@asynccontextmanager
async def started(kind, net, directory, number=1):
    machine = Machine(net.network.slot(number), kind, net, directory)
    try:
        await machine.start()
        yield machine
    finally:
        await machine.stop()


def test_a_machine_goes_back_to_its_saved_state_and_another_one_starts_from_it(
    profile, endless, tmp_path
):
    kind = kind_of(profile, tmp_path)

    async def main():
        async with fleet(endless) as (directory, net):
            async with started(kind, net, directory) as machine:
                for _ in range(3):
                    outcome = await execute(machine, HEY)
                    assert outcome.failure is None, outcome.reason
                    assert outcome.provenance["reset"] == "snapshot"
                    assert outcome.provenance["runs_since_boot"] == 0
                    assert outcome.provenance["snapshot"] == machine._saved.snapshot.tag
                    assert outcome.provenance["snapshot_age_s"] > 0
            async with started(kind, net, directory) as machine:
                assert machine.qemu.log.boots[-1].why is Why.SNAPSHOT
                assert machine.info.address == "10.200.45.1"
                outcome = await execute(machine, HEY)
                assert outcome.failure is None, outcome.reason
                assert outcome.provenance["reset"] == "snapshot"
            assert kind.snapshots.usage.snapshots == 1

    asyncio.run(main())

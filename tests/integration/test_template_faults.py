"""What can happen to a template: a machine that it does not serve boots, and no run is lost."""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from test_session_manager import HEY, execute
from test_templates import machines, rubbish, templated

from taskgen import machine_launch
from taskgen.errors import MachineDiedError, SilentGuestError
from taskgen.host.migration import restore
from taskgen.host.snapshot_drive import check_disks
from taskgen.interfaces import FailureClass
from taskgen.lifecycle import MachineState


@pytest.fixture
def network(network):
    return replace(network, lease_time_s="infinite")


def test_the_template_is_made_whatever_holds_the_engine_up(profile, network, tmp_path, monkeypatch):
    async def held_up(qmp):
        await check_disks(qmp)
        if await qmp.status() == "running":  # longer than the guest needs to be ready
            await asyncio.sleep(profile.boot_timeout_s / 2)

    monkeypatch.setattr(machine_launch, "check_disks", held_up)

    async def main():
        async with (
            templated(profile, network, tmp_path) as (kind, *place),
            machines(kind, *place, 1) as (machine,),
        ):
            assert machine.qemu.record.template

    asyncio.run(main())


@pytest.mark.parametrize("before", [True, False])
def test_a_template_is_not_blamed_for_a_qemu_that_somebody_killed(
    profile, network, tmp_path, monkeypatch, before
):
    """Before, or after it has the state: its guest has yet to be told who it is."""

    async def killed(qemu, state, *, timeout_s):
        if not before:
            await restore(qemu, state, timeout_s=timeout_s)
        qemu.process.signal(signal.SIGKILL)
        if before:
            await restore(qemu, state, timeout_s=timeout_s)

    async def main():
        async with templated(profile, network, tmp_path) as (kind, *place):
            async with machines(kind, *place, 1) as (machine,):
                tag = machine.qemu.record.template
            monkeypatch.setattr(machine_launch, "restore", killed)
            with pytest.raises(MachineDiedError, match="SIGKILL"):
                async with machines(kind, *place, 1):
                    pass
            monkeypatch.setattr(machine_launch, "restore", restore)
            assert not kind.snapshots.problems.current
            async with machines(kind, *place, 1) as (machine,):
                assert machine.qemu.record.template == tag

    asyncio.run(main())


def test_a_machine_boots_where_the_template_is_of_no_use(profile, network, tmp_path):
    async def main():
        async with templated(profile, network, tmp_path) as (kind, *place):
            bad = await kind.templates.get(rubbish)
            async with machines(kind, *place, 2) as (machine,):
                assert machine.qemu.record.template == ""
                assert not [note for note in tmp_path.glob("*.json") if bad.tag in note.read_text()]
                outcome = await execute(machine, HEY)
                assert outcome.failure is None, outcome.reason
                assert outcome.provenance["snapshot"]  # of its own, or of another template

    asyncio.run(main())


def test_a_machine_from_a_template_that_was_given_up_meanwhile_boots_for_its_next_run(
    profile, network, tmp_path
):
    async def fails(template):
        raise SilentGuestError("taskgen-2: its control port is silent")

    async def main():
        async with (
            templated(profile, network, tmp_path) as (kind, *place),
            machines(kind, *place, 1) as (machine,),
        ):
            await kind.templates.drop(await kind.templates.get(fails), "the image is another one")
            assert await kind.templates.get(fails) is None
            assert not kind.templates.exist
            outcome = await execute(machine, HEY)
            assert outcome.failure is None, outcome.reason
            outcome = await execute(machine, HEY)
            assert outcome.failure is None, outcome.reason
            assert machine.qemu.record.template == ""

    asyncio.run(main())


def test_a_run_that_gets_no_machine_for_want_of_disk_fails_by_itself(profile, network, tmp_path):
    async def main():
        async with (
            templated(profile, network, tmp_path) as (kind, directory, net),
            machines(kind, directory, net, 1) as (machine,),
        ):
            assert (await execute(machine, HEY)).failure is None
            # What cannot be written: the index of the boots, as on a full disk.
            index = directory.consoles.of(machine.name).path / "boots.json.new"
            index.mkdir()
            outcome = await execute(machine, HEY)
            assert outcome.failure is FailureClass.MACHINE
            assert machine.name in outcome.reason
            assert "boots.json" in outcome.reason
            assert machine.state is MachineState.FAILED

    asyncio.run(main())


def test_a_guest_that_can_write_to_a_disk_has_no_template(profile, network, tmp_path):
    disk = Path("/run/state/disk.raw")
    disk.write_bytes(bytes(1 << 20))
    disk.chmod(0o666)
    options = f"if=none,id=disk,format=raw,file={disk}"
    drive = ("-drive", options, "-device", "virtio-blk-pci,drive=disk")
    profile = replace(profile, arguments=(*profile.arguments, *drive))

    async def main():
        async with (
            templated(profile, network, tmp_path) as (kind, *place),
            machines(kind, *place, 1) as (machine,),
        ):
            assert machine.qemu.record.template == ""
            told = [problem.text for problem in kind.snapshots.problems.current]
            assert any("template" in text and "can write to disk" in text for text in told)

    try:
        asyncio.run(main())
    finally:
        disk.unlink()

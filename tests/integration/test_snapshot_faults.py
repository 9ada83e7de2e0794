"""What can happen to saved states: never a wrong one, and no run is lost."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from host_tools import fleet
from snapshot_tools import image_in, kill_amid, kind_of, started
from test_session_manager import HEY, execute
from world import nothing_left

from taskgen import assets
from taskgen.errors import MachineDiedError
from taskgen.host.console_boots import Why
from taskgen.host.snapshot_store import PROBLEM
from taskgen.interfaces import FailureClass
from taskgen.machine import Machine
from taskgen.profiles import load_profile
from taskgen.slots import load_network


@pytest.fixture(scope="module")
def kept(own_world, tmp_path_factory):
    """A store with the state of one machine, for tests to copy."""
    path = tmp_path_factory.mktemp("kept")
    network = load_network(assets.root() / "network" / "network.toml")

    async def main():
        async with (
            fleet(replace(network, lease_time_s="infinite")) as (directory, net),
            started(kind_of(load_profile("linux-x86_64"), path), net, directory),
        ):
            pass

    with nothing_left():
        asyncio.run(main())
    return path


@pytest.fixture
def store(kept, tmp_path):
    path = tmp_path / "store"
    shutil.copytree(kept, path)
    return path


@pytest.fixture
def network(network):
    return replace(network, lease_time_s="infinite")


def began(machine):
    """What began the newest boot of its console."""
    return machine.qemu.log.boots[-1].why


async def sound(machine, reset="snapshot"):
    """See that it carries out a run."""
    outcome = await execute(machine, HEY)
    assert outcome.failure is None, outcome.reason
    assert outcome.provenance["reset"] == reset
    assert outcome.provenance["runs_since_boot"] == 0
    return outcome


def start_one(kind, network, boots):
    """Start a machine, and see that it boots or goes on, and then that all is well."""

    async def main():
        async with fleet(network) as (directory, net):
            async with started(kind, net, directory) as machine:
                # A guest whose clock goes wrong is reset while it boots, on a busy host.
                assert began(machine) in (boots, *([Why.RESET] if boots is Why.LAUNCH else []))
                await sound(machine)
                await sound(machine)
            async with started(kind, net, directory) as machine:
                assert began(machine) is Why.SNAPSHOT
                await sound(machine)

    asyncio.run(main())


def test_a_sound_state_is_gone_on_from(profile, network, store):
    start_one(kind_of(profile, store), network, Why.SNAPSHOT)


def test_the_state_of_another_profile_is_dropped_with_what_has_changed(
    profile, network, store, caplog
):
    caplog.set_level("INFO")
    stale = image_in(store)
    other = replace(profile, append=f"{profile.append} changed=1")
    start_one(kind_of(other, store), network, Why.LAUNCH)
    assert not stale.exists()
    assert f"{stale.stem}: a stale saved state, so it is dropped: other machine and profile" in (
        caplog.text
    )


def truncated(image):
    os.truncate(image, image.stat().st_size // 2)
    return f"it has {image.stat().st_size} bytes, not"


def changed(image):
    with image.open("r+b") as file:
        file.seek(image.stat().st_size // 2)
        file.write(b"changed")
    return "its content has changed"


def without_a_note_that_can_be_read(image):
    image.with_suffix(".json").write_text("{")
    return "it has no note that can be read"


@pytest.mark.parametrize("spoil", [truncated, changed, without_a_note_that_can_be_read])
def test_a_broken_state_is_dropped_and_the_machine_boots(profile, network, store, caplog, spoil):
    why = spoil(image_in(store))
    start_one(kind_of(profile, store), network, Why.LAUNCH)
    assert caplog.text.count("a broken saved state, so it is dropped") == 1
    assert why in caplog.text


def test_a_state_that_qemu_does_not_find_is_dropped_and_the_machine_boots(
    profile, network, store, caplog
):
    note = image_in(store).with_suffix(".json")
    note.write_text(json.dumps(json.loads(note.read_text()) | {"tag": "taskgen-other"}))

    async def main():
        async with fleet(network) as (directory, net):
            kind = kind_of(profile, store)
            async with started(kind, net, directory) as machine:
                assert began(machine) in (Why.LAUNCH, Why.RESET)  # as in start_one
                assert "listening on port" in machine.qemu.console.tail(200)
                await sound(machine)
            async with started(kind, net, directory) as machine:
                assert began(machine) is Why.SNAPSHOT

    asyncio.run(main())
    assert "taskgen-1: its saved state is dropped: taskgen-1: it is not in its file" in caplog.text


@pytest.mark.parametrize("icount", [False, True])
def test_a_state_that_is_lost_while_the_machine_runs_costs_a_boot_and_is_made_anew(
    profile, network, store, caplog, icount
):
    async def main():
        async with fleet(network) as (directory, net):
            kind = kind_of(profile, store, icount=icount)
            async with started(kind, net, directory) as machine:
                first = await sound(machine)
                tag = machine._body.launched.saved.snapshot.tag
                delete = {"job-id": "test", "tag": tag, "devices": ["snapshots"]}
                await machine.qemu.qmp.execute("snapshot-delete", delete)
                second = await sound(machine)
                assert second.provenance["snapshot"] != first.provenance["snapshot"]
                await sound(machine)
            async with started(kind, net, directory) as machine:
                assert began(machine) is Why.SNAPSHOT

    asyncio.run(main())
    assert caplog.text.count("its saved state is dropped") == 1


@pytest.mark.parametrize("late", [False, True])
def test_qemu_killed_while_it_saves_leaves_nothing_that_counts(
    profile, network, tmp_path, monkeypatch, late
):
    kind = kind_of(profile, tmp_path)

    async def main():
        async with fleet(network) as (directory, net):
            machine = Machine(network.slot(1), kind, net, directory)
            kill_amid(monkeypatch, machine, "snapshot-save", late=late)
            try:
                with pytest.raises(MachineDiedError, match="SIGKILL"):
                    await machine.start()
            finally:
                await machine.stop()
            assert kind.snapshots.usage().snapshots == 0

    asyncio.run(main())
    start_one(kind, network, Why.LAUNCH)


def as_saved(store):
    """Whether the files of a store are what was saved there."""
    return all(
        hashlib.sha256(image.read_bytes()).hexdigest()
        == json.loads(image.with_suffix(".json").read_text())["sha256"]
        for image in store.glob("*.qcow2")
    )


@pytest.mark.parametrize("icount", [False, True])
def test_qemu_killed_while_it_restores_loses_no_run_and_leaves_no_wrong_state(
    profile, network, store, monkeypatch, icount
):
    kind = kind_of(profile, store, icount=icount)

    async def main():
        async with fleet(network) as (directory, net):
            async with started(kind, net, directory) as machine:
                await sound(machine)
                before = kind.snapshots.usage().snapshots
                kill_amid(monkeypatch, machine, "snapshot-load")
                outcome = await execute(machine, HEY)
                # Of this class runs are begun again, and it does not count against the task-set.
                assert outcome.failure is FailureClass.MACHINE
                assert "SIGKILL" in outcome.reason
            assert kind.snapshots.usage().snapshots == before

    asyncio.run(main())
    # QEMU notes in the file that a state is in use, and may die amid that.
    start_one(kind, network, Why.SNAPSHOT if as_saved(store) else Why.LAUNCH)


def without_room(profile, network, kind):
    """See that a machine of which no state can be saved boots before each run, and says so."""

    async def main():
        async with fleet(network) as (directory, net):
            async with started(kind, net, directory) as machine:
                (problem,) = kind.snapshots.problems.current
                assert problem.key == PROBLEM
                assert machine.info.saved_at is None
                for _ in range(2):
                    await sound(machine, reset="reboot")
                assert kind.snapshots.usage().snapshots == 0
                assert kind.snapshots.usage().size_bytes < 1_000_000
            assert not kind.snapshots.problems.current
            return problem.text

    return asyncio.run(main())


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def test_a_machine_boots_before_each_run_where_the_disk_is_full(profile, network, tmp_path):
    path = tmp_path / "small"
    path.mkdir()
    mount("-t", "tmpfs", "-o", "size=16m", "taskgen-test", path)
    try:
        told = without_room(profile, network, kind_of(profile, path))
    finally:
        subprocess.run(["umount", path], check=True)
    assert "taskgen-1: the state cannot be saved, so the guest boots before each run" in told
    assert f"{path}: the disk is full" in told


def test_the_state_is_saved_as_soon_as_the_disk_has_room_for_it(profile, network, tmp_path):
    kind = kind_of(profile, tmp_path, icount=True)

    async def main():
        async with (
            fleet(network) as (directory, net),
            started(kind, net, directory) as machine,
        ):
            assert kind.snapshots.problems.current
            saves = machine.qemu.console.tail(200).count("client gone")
            await sound(machine, reset="reboot")
            again = machine.qemu.console.tail(200).count("client gone")
            assert again <= saves + 1  # it is not tried in vain, which would cost a boot
            sets = len(await machine.qemu.qmp.execute("query-fdsets"))
            mount("-o", "remount,size=500m", tmp_path)
            await sound(machine)
            assert not kind.snapshots.problems.current
            assert kind.snapshots.usage().snapshots == 1
            assert len(await machine.qemu.qmp.execute("query-fdsets")) == sets
            await sound(machine)

    mount("-t", "tmpfs", "-o", "size=16m", "taskgen-test", tmp_path)
    try:
        asyncio.run(main())
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_machine_boots_before_each_run_where_the_settings_leave_no_room(
    profile, network, tmp_path
):
    told = without_room(profile, network, kind_of(profile, tmp_path, limit_bytes=10_000_000))
    assert "there is no room for its state" in told


def test_a_machine_boots_before_each_run_whose_guest_can_write_to_a_disk(
    profile, network, tmp_path
):
    disk = Path("/run/state/disk.raw")
    disk.write_bytes(bytes(1 << 20))
    disk.chmod(0o666)
    options = f"if=none,id=disk,format=raw,file={disk}"
    other = replace(profile, arguments=("-drive", options, "-device", "virtio-blk-pci,drive=disk"))
    try:
        told = without_room(other, network, kind_of(other, tmp_path))
    finally:
        disk.unlink()
    assert "its guest can write to disk" in told

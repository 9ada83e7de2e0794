"""What a saved state depends on: a change of any of it makes another key."""

import asyncio
import os
from dataclasses import replace

import pytest

from taskgen import assets
from taskgen.binaries import Binaries
from taskgen.errors import HostError
from taskgen.host.qemu_command import Accelerator
from taskgen.machine_kind import MachineKind
from taskgen.profiles import load_profile
from taskgen.slots import load_network
from taskgen.snapshot_key import snapshot_key

NETWORK = load_network(assets.root() / "network" / "network.toml")


@pytest.fixture
def kind(tmp_path):
    for name in ("kernel", "initrd"):
        (tmp_path / name).write_bytes(name.encode())
    profile = replace(
        load_profile("linux-x86_64"), kernel=tmp_path / "kernel", initrd=tmp_path / "initrd"
    )
    return MachineKind(
        profile=profile, accelerator=Accelerator.TCG, binaries=Binaries([tmp_path], "x86_64")
    )


def key(kind, number=1, network=NETWORK):
    return asyncio.run(snapshot_key(kind, network.slot(number), network))


def test_the_same_machine_has_the_same_key(kind):
    assert key(kind) == key(kind)
    assert key(kind).sha256 == key(replace(kind, binaries=Binaries([], "x86_64"))).sha256


@pytest.mark.parametrize(
    "change",
    [
        {"memory_mb": 128},
        {"machine": "pc"},
        {"append": "other"},
        {"cpus": 2},
        {"boot_timeout_s": 1.0},
    ],
)
def test_another_profile_has_another_one(kind, change):
    assert key(kind) != key(replace(kind, profile=replace(kind.profile, **change)))


def test_another_accelerator_virtual_time_or_user_has_another_one(kind):
    others = [
        replace(kind, accelerator=Accelerator.KVM),
        replace(kind, icount=True),
        replace(kind, user="nobody"),
    ]
    assert len({key(each).sha256 for each in (kind, *others)}) == 4


def test_another_slot_or_network_has_another_one(kind):
    moved = replace(NETWORK, bridge_address=NETWORK.bridge_address - 1)
    keys = [key(kind), key(kind, 2), key(kind, network=moved)]
    assert len({each.sha256 for each in keys}) == 3


@pytest.mark.parametrize("name", ["kernel", "initrd"])
def test_another_content_of_the_image_has_another_one(kind, tmp_path, name):
    before = key(kind)
    (tmp_path / name).write_bytes(b"other")
    after = key(kind)
    assert (before.place, before.facts["image"]) != (after.place, after.facts["image"])
    assert before.place == after.place


def test_a_content_of_the_same_size_and_time_is_told_by_the_files_inode(kind, tmp_path):
    before, status = key(kind), (tmp_path / "kernel").stat()
    new = tmp_path / "new"
    new.write_bytes(b"KERNEL")
    os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
    new.rename(tmp_path / "kernel")
    assert key(kind).sha256 != before.sha256


def test_the_same_content_in_another_file_of_that_name_has_the_same_key(kind, tmp_path):
    before = key(kind)
    new = tmp_path / "new"
    new.write_bytes(b"kernel")
    new.rename(tmp_path / "kernel")
    assert key(kind).sha256 == before.sha256


@pytest.fixture
def fake_qemu(tmp_path, monkeypatch):
    """Makes the QEMU that is found first: a shell script."""
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")

    def make(script):
        qemu = tools / "qemu-system-x86_64"
        qemu.write_text(f"#!/bin/sh\n{script}\n")
        qemu.chmod(0o755)

    return make


def test_what_a_qemu_says_that_cannot_be_started_is_no_version(kind, tmp_path, fake_qemu):
    fake_qemu(f"cat {tmp_path}/libfdt.so.1")
    with pytest.raises(HostError, match="libfdt"):
        key(kind)
    (tmp_path / "libfdt.so.1").write_text("QEMU emulator version 98")
    assert key(kind).facts["QEMU"] == "QEMU emulator version 98"


def test_another_qemu_has_another_one(kind, fake_qemu):
    before = key(kind)
    fake_qemu("echo QEMU emulator version 99")
    after = key(kind)
    assert after.facts["QEMU"] == "QEMU emulator version 99"
    assert after.place == before.place

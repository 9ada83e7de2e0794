"""A task binary is found in its order and must fit the target."""

import asyncio
import hashlib
import struct
from dataclasses import replace

import pytest

from taskgen.binaries import Binaries, user_directories
from taskgen.binary_store import BinaryStore
from taskgen.errors import BinaryError
from taskgen.local_plan import FleetPlan
from taskgen.profiles import load_profile
from taskgen.service_plan import Plan


def elf(machine=62, bits=2, order=1):
    return struct.pack("<4sBB10xHH", b"\x7fELF", bits, order, 2, machine) + b"\0" * 44


def directory(path, **files):
    path.mkdir()
    for name, content in files.items():
        (path / name).write_bytes(content)
    return path


@pytest.fixture
def kind(tmp_path):
    """A profile with binaries of its own."""
    directory(tmp_path / "profile", hey=elf(), pi=elf(), own=b"rubbish")
    return replace(load_profile("linux-x86_64"), binaries=tmp_path / "profile")


def plans(kind, mine):
    """What decides on the order: for machines, and for boards."""
    yield FleetPlan(profile=kind, binaries=(mine,)).task_binaries()
    yield Plan(host_profile=kind, binaries=(mine,)).board_kind().binaries


def test_the_user_goes_before_the_profile(tmp_path, kind):
    mine = directory(tmp_path / "mine", hey=elf() + b"mine", own=elf())
    for binaries in plans(kind, mine):
        assert binaries.get("hey").path == mine / "hey"
        assert binaries.get("own").path == mine / "own"
        assert binaries.get("pi").path == kind.binaries / "pi"


def test_what_goes_before_another_of_its_name_is_told_before_the_job_runs(tmp_path, kind, caplog):
    mine = directory(tmp_path / "mine", hey=elf() + b"mine", pi=elf())
    for binaries in plans(kind, mine):
        caplog.clear()
        binaries.check(["hey", "pi"])
        assert caplog.messages == [f"task binary hey: {mine}/hey goes before {kind.binaries}/hey"]


def test_what_was_uploaded_goes_before_all_others_and_that_is_logged(tmp_path, kind, caplog):
    caplog.set_level("INFO")
    store = BinaryStore(tmp_path / "store")
    content = elf() + b"uploaded"
    sha256 = hashlib.sha256(content).hexdigest()
    store.put(sha256, content, "x86_64")
    binaries = FleetPlan(profile=kind, store=store).task_binaries()
    binaries.check(["hey", "pi"], {"hey": sha256})
    assert caplog.messages == [
        f"task binary hey: uploaded {sha256} goes before {kind.binaries}/hey"
    ]
    found = binaries.of([{"pkg": "hey"}, {"pkg": "pi"}], {"hey": sha256})
    assert [each.content for each in found] == [content, elf()]


def test_each_binary_of_a_variant_is_listed_once(tmp_path):
    binaries = Binaries([directory(tmp_path / "bin", hey=elf(), pi=elf())], "x86_64")
    found = binaries.of([{"pkg": "pi"}, {"pkg": "hey"}, {"pkg": "pi"}])
    assert [binary.name for binary in found] == ["pi", "hey"]
    assert found[0].sha256 == found[1].sha256


def test_one_that_is_nowhere_is_named_with_the_places(tmp_path):
    with pytest.raises(BinaryError, match=rf"no task binary 'hey' in {tmp_path} \(name its"):
        Binaries([tmp_path], "x86_64").get("hey")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (elf(machine=40, bits=1), "hey: is for arm, the target is x86_64"),
        (elf(machine=4242), "hey: is for ELF machine 4242, the target is x86_64"),
        (elf(order=2), "the target is x86_64"),
        (b"#!/bin/sh\n" + b" " * 60, "hey: not an ELF file"),
        (b"\x7fELF", "hey: not an ELF file"),
        (b"", "hey: not an ELF file"),
    ],
)
def test_one_that_does_not_fit_is_refused(tmp_path, content, message):
    binaries = Binaries([directory(tmp_path / "bin", hey=content)], "x86_64")
    with pytest.raises(BinaryError, match=message):
        binaries.get("hey")


def test_the_users_directories_must_exist(tmp_path, monkeypatch):
    monkeypatch.setenv("TASKGEN_BINARIES", f"{tmp_path}:{tmp_path}/missing")
    with pytest.raises(BinaryError, match="missing: no such directory"):
        user_directories(None)
    assert user_directories(str(tmp_path)) == [tmp_path]
    monkeypatch.delenv("TASKGEN_BINARIES")
    assert user_directories(None) == []


def test_a_file_that_changed_is_read_again_and_that_is_told(tmp_path, caplog):
    places = [directory(tmp_path / "bin", hey=elf())]
    binaries = Binaries(places, "x86_64")
    first = binaries.get("hey")
    assert binaries.get("hey") is first
    (tmp_path / "bin" / "hey").write_bytes(elf() + b"another")
    second = binaries.get("hey")
    assert second.sha256 != first.sha256
    assert "hey has changed: from now on, runs have the new one" in caplog.text
    assert binaries.get("hey") is second


def test_a_file_that_changed_is_noticed_in_the_next_turn_of_the_loop(tmp_path):
    binaries = Binaries([directory(tmp_path / "bin", hey=elf())], "x86_64")

    async def main():
        first = binaries.get("hey")
        await asyncio.sleep(0)
        assert binaries.get("hey") is first
        (tmp_path / "bin" / "hey").write_bytes(elf() + b"another")
        assert binaries.get("hey") is first  # it was looked at in this turn
        await asyncio.sleep(0)
        assert binaries.get("hey").sha256 != first.sha256
        (tmp_path / "bin" / "hey").unlink()
        await asyncio.sleep(0)
        for _ in range(2):
            with pytest.raises(BinaryError, match="no task binary 'hey'"):
                binaries.get("hey")

    asyncio.run(main())


def test_a_loop_that_ended_is_forgotten(tmp_path):
    binaries = Binaries([directory(tmp_path / "bin", hey=elf())], "x86_64")
    first = binaries.get("hey")

    async def get():
        return binaries.get("hey")

    for _ in range(2):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(get())
        loop.close()
    (tmp_path / "bin" / "hey").write_bytes(elf() + b"another")
    assert asyncio.run(get()).sha256 != first.sha256


def test_a_file_that_is_gone_is_missed_at_once(tmp_path):
    places = [directory(tmp_path / "first", hey=elf()), directory(tmp_path / "second", hey=elf())]
    binaries = Binaries(places, "x86_64")
    assert binaries.get("hey").path == tmp_path / "first" / "hey"
    (tmp_path / "first" / "hey").unlink()
    assert binaries.get("hey").path == tmp_path / "second" / "hey"
    (tmp_path / "second" / "hey").unlink()
    with pytest.raises(BinaryError, match="no task binary 'hey'"):
        binaries.get("hey")

"""Real machines under TCG: from launch to an answer, and all the ways in which they end."""

import asyncio
import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
from host_tools import available, fleet, lone_machine, machine

from taskgen.errors import (
    BootError,
    HostError,
    LaunchError,
    MachineError,
    MissingToolError,
    SessionTimeoutError,
)
from taskgen.profiles import load_profile


def status(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


def open_files(pid):
    return [os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()]


def user_of_tests():
    return status("self")["Uid"]


def test_lease_then_answer_then_the_end(network, profile):
    async def main():
        async with fleet(network) as (directory, net):
            slots = [network.slot(1), network.slot(2)]
            async with (
                machine(profile, directory, net, 1) as one,
                machine(profile, directory, net, 2) as two,
            ):
                for slot, qemu in zip(slots, (one, two), strict=True):
                    lease = await net.wait_lease(slot, 60)
                    assert lease.address == slot.address
                    assert await available(net, lease.address)
                    assert await qemu.qmp.status() == "running"
                assert "taskloader" in one.console.tail()
                assert (await one.stop()).code == 0
                assert str(await one.died()).startswith("taskgen-1: QEMU exit status 0")
                assert two.process.exit is None
                home = directory.machine("taskgen-2")
            assert not home.exists()

    asyncio.run(main())


def test_qemu_has_no_privileges(profile):
    async def main():
        async with lone_machine(profile) as qemu:
            found = status(qemu.pid)
            assert len(set(found["Uid"])) == 1
            assert found["Uid"] != user_of_tests()
            assert found["Groups"] == []
            assert found["NoNewPrivs"] == ["1"]
            assert found["Seccomp"] == ["2"]
            assert int(found["CapEff"][0], 16) == 0
            # Its tap, its sockets, its files; none of ours.
            assert not [file for file in open_files(qemu.pid) if "fleet.lock" in file]

    asyncio.run(main())


def test_its_death_is_noticed_with_the_console(profile):
    async def main():
        async with lone_machine(profile) as qemu:
            await qemu.first_output(60)
            os.kill(qemu.pid, signal.SIGKILL)
            killed_at = time.monotonic()
            async with asyncio.timeout(60):  # how soon is measured by benchmarks/recovery.py
                error = await qemu.died()
            assert qemu.process.died_at >= killed_at
            assert "killed by SIGKILL" in str(error)
            assert error.console
            with pytest.raises(MachineError, match="query-status"):
                await qemu.qmp.status()

    asyncio.run(main())


def test_reset_is_told_by_an_event(profile):
    async def main():
        async with lone_machine(profile) as qemu:
            events = asyncio.Queue()
            qemu.qmp.on_event(lambda name, data: events.put_nowait((name, data)))
            await qemu.qmp.execute("system_reset")
            async with asyncio.timeout(60):
                name, data = await events.get()
            assert name == "RESET"
            assert data["guest"] is False
            assert qemu.process.exit is None

    asyncio.run(main())


def test_events_are_told_and_then_kept_by_nobody(profile):
    async def main():
        told = []
        async with lone_machine(profile) as qemu:
            qemu.qmp.on_event(lambda name, data: told.append(name))
            for _ in range(3):
                await qemu.qmp.execute("stop")
                await qemu.qmp.execute("cont")
            await qemu.qmp.status()
            assert told == ["STOP", "RESUME"] * 3
            assert qemu.qmp._client.events.history == ()

    asyncio.run(main())


def test_stopped_qemu_is_ended_all_the_same(profile):
    async def main():
        async with lone_machine(profile) as qemu:
            os.kill(qemu.pid, signal.SIGSTOP)
        assert qemu.process.exit.code in (0, -signal.SIGTERM)  # it goes on to hear of it

    asyncio.run(main())


def test_qemu_that_does_not_start_says_why(profile):
    async def main(**changes):
        async with lone_machine(replace(profile, **changes)):
            pass

    with pytest.raises(
        LaunchError, match=r"taskgen-1: QEMU did not start: exit status 1: .*unsupported machine"
    ):
        asyncio.run(main(machine="pdp11"))
    with pytest.raises(LaunchError, match="no-such-device"):
        asyncio.run(main(arguments=("-device", "no-such-device")))
    with pytest.raises(MissingToolError, match="no program 'qemu-system-vax'"):
        asyncio.run(main(emulator="qemu-system-vax"))


def test_unknown_user(profile):
    async def main():
        async with lone_machine(profile, user="no-such-user"):
            pass

    with pytest.raises(HostError, match="no user 'no-such-user' on this host"):
        asyncio.run(main())


def test_silent_guest_is_a_diagnosis_of_its_own(profile):
    async def main():
        async with lone_machine(replace(profile, memory_mb=32)) as qemu:
            with pytest.raises(BootError, match=r"no console output for 0\.5 s.*-m.*-smp"):
                await qemu.first_output(0.5)

    asyncio.run(main())


def test_image_in_a_closed_home_directory(profile, tmp_path):
    """The QEMU user need not be able to enter it, only to read the files."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    kernel, initrd = home / "vmlinux", home / "initramfs"
    shutil.copy(profile.kernel, kernel)
    shutil.copy(profile.initrd, initrd)

    async def main():
        async with lone_machine(replace(profile, kernel=kernel, initrd=initrd)) as qemu:
            await qemu.first_output(60)

    asyncio.run(main())
    initrd.chmod(0o600)
    with pytest.raises(HostError, match=r"initramfs: not readable by the QEMU user \(chmod o\+r"):
        asyncio.run(main())


def test_cancelled_at_any_point_nothing_is_left(profile):
    async def life():
        async with lone_machine(profile):
            await asyncio.Event().wait()

    async def main():
        for delay_ms in (0, 1, 3, 6, 10, 20, 40, 80, 160):
            task = asyncio.create_task(life())
            await asyncio.sleep(delay_ms / 1000)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(main())


def test_no_connection_where_nobody_is(network):
    async def main():
        async with fleet(network) as (_, net):
            with pytest.raises(SessionTimeoutError, match=r"10\.200\.45\.9:3001: no connection"):
                await net.connect("10.200.45.9", 3001, 0.3)
            with pytest.raises(SessionTimeoutError, match="Connection refused"):
                await net.connect("10.200.45.254", 3001, 2.0)

    asyncio.run(main())


def test_virtual_time_is_refused_where_the_profile_has_none(profile):
    async def main():
        async with lone_machine(replace(profile, icount=None), icount=True):
            pass

    with pytest.raises(HostError, match="no virtual time with tcg"):
        asyncio.run(main())


def test_virtual_time_boots(profile):
    async def main():
        async with lone_machine(profile, icount=True) as qemu:
            await qemu.first_output(120)

    asyncio.run(main())


FOREVER = b"\xfe\xff\xff\xea"  # ARM: b .


@pytest.mark.parametrize(
    ("name", "image", "content"),
    [
        ("genode-pbxa9", "image.elf", FOREVER),
        ("genode-x86_64", "image.iso", bytes(1 << 20)),
        ("genode-x86_64", "image.img", bytes(1 << 20)),
    ],
)
def test_other_kinds_with_an_image_of_the_users(network, tmp_path, name, image, content):
    """Nothing here depends on the reference guest. These images only stand for real ones."""
    path = tmp_path / image
    path.write_bytes(content)
    kind = load_profile(name).with_image(path)

    async def main():
        async with fleet(network) as (directory, net), machine(kind, directory, net) as qemu:
            assert await qemu.qmp.status() == "running"
            card = await qemu.qmp.execute("human-monitor-command", {"command-line": "info network"})
            assert kind.nic.model in card
            assert f"macaddr={network.slot(1).mac}" in card
            with pytest.raises(BootError, match=r"-m.*-smp"):
                await qemu.first_output(0.3)
        assert path.read_bytes() == content

    asyncio.run(main())

"""The doctor's checks on this host, and what they say where something is missing."""

import asyncio
from dataclasses import replace

from crashes import crash, engine
from host_tools import fleet_directory

from taskgen.host import netns
from taskgen.host.doctor import Grade, examine
from taskgen.host.doctor import basics as doctor
from taskgen.host.doctor.fix import fix
from taskgen.profiles import load_profile
from taskgen.settings import QemuSettings, Settings


def checks(profiles, network, **options):
    async def main():
        found = examine(profiles, network=network, **options)
        return {check.name: check async for check in found}

    return asyncio.run(main())


def test_this_host(profile, network):
    found = checks([profile, load_profile("genode-pbxa9")], network)
    assert not [check for check in found.values() if check.grade is Grade.FAIL]
    assert found["QEMU's user"].found.startswith("taskgen-qemu")
    assert "QEMU emulator version" in found["qemu-system-arm"].found
    assert found["leftovers"].found == "none"
    assert "image of genode-pbxa9" not in found


def test_what_is_missing_is_named_with_what_to_do(profile, network, tmp_path, monkeypatch):
    settings = Settings(qemu=QemuSettings(user="no-such-user"))
    found = checks([replace(profile, kernel=tmp_path / "vmlinux")], network, settings=settings)
    assert found["image of linux-x86_64"].grade is Grade.FAIL
    assert found["image of linux-x86_64"].advice == "build it: make guest"
    assert "accelerator of linux-x86_64" not in found
    assert found["QEMU's user"].grade is Grade.FAIL
    assert "adduser" in found["QEMU's user"].advice
    program = asyncio.run(doctor.check_program("qemu-system-vax", "--version", Grade.WARN))
    assert program.grade is Grade.WARN
    assert program.advice == "apt-get install qemu-system-vax"
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert doctor.check_privileges().grade is Grade.FAIL
    assert doctor.check_leftovers().grade is Grade.WARN


def test_live_fleet_is_no_leftover():
    async def main():
        async with fleet_directory():
            return await asyncio.to_thread(doctor.check_leftovers)

    assert asyncio.run(main()).grade is Grade.OK


def fixed():
    async def main():
        return [line async for line in fix()]

    return asyncio.run(main())


def test_what_crashes_left_is_removed_and_a_fleet_that_lives_is_not():
    crash("network")
    with engine("network", name="alive", namespace="alive"):
        done = fixed()
        assert "removed network namespace crashed" in done
        assert netns.exists("alive")
        assert fixed() == []
    assert "removed network namespace alive" in fixed()

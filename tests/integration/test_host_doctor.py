"""The doctor's checks on this host, and what they say where something is missing."""

import asyncio
from dataclasses import replace

from host_tools import fleet_directory

from taskgen.host import doctor
from taskgen.host.doctor import Grade, examine
from taskgen.profiles import load_profile


def checks(profiles, **options):
    async def main():
        return {check.name: check async for check in examine(profiles, **options)}

    return asyncio.run(main())


def test_this_host(profile):
    found = checks([profile, load_profile("genode-pbxa9")])
    assert not [check for check in found.values() if check.grade is Grade.FAIL]
    assert found["QEMU's user"].found.startswith("taskgen-qemu")
    assert "QEMU emulator version" in found["qemu-system-arm"].found
    assert found["leftovers"].found == "none"
    assert "image of genode-pbxa9" not in found


def test_what_is_missing_is_named_with_what_to_do(profile, tmp_path, monkeypatch):
    found = checks([replace(profile, kernel=tmp_path / "vmlinux")], user="no-such-user")
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

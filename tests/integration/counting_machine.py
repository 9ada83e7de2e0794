"""Launches a daemon's machine whose guest counts on its console, and waits to be killed. Run by
test_console_log.py.

``python counting_machine.py FLEET MACHINES [BOOT_BYTES]``; says "counts" once it does. With a bound
it counts as fast as it can.
"""

import asyncio
import sys
from pathlib import Path

from host_tools import counting

from taskgen.host.console_boots import Limits
from taskgen.host.console_keeping import keeping
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.inotify import Inotify
from taskgen.host.qemu_command import Accelerator
from taskgen.host.qemu_start import launch
from taskgen.host.records import Kind
from taskgen.problems import Problems
from taskgen.profiles import load_profile


async def main(name, machines, boot_bytes=None):
    directory = FleetDirectory.create(name, kind=Kind.DAEMON, namespace="", machines=Path(machines))
    profile = load_profile("linux-x86_64")
    guest = counting(profile, pause=":") if boot_bytes else counting(profile)
    directory.consoles.limits = Limits(boot_bytes=int(boot_bytes or 8_000_000))
    async with keeping(directory, Problems(), keep=lambda: True):
        await lives(directory, guest)


async def lives(directory, guest):
    with Inotify() as inotify:
        async with await launch(
            guest,
            "taskgen-1",
            directory=directory,
            accelerator=Accelerator.TCG,
            inotify=inotify,
        ) as qemu:
            assert await qemu.console.wait_for("line 20 ", 120)
            print("counts", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

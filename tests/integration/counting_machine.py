"""Launches a daemon's machine whose guest counts on its console, and waits to be killed. Run by
test_console_log.py.

``python counting_machine.py FLEET MACHINES``; says "counts" once it does.
"""

import asyncio
import sys
from pathlib import Path

from host_tools import counting

from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.inotify import Inotify
from taskgen.host.qemu import launch
from taskgen.host.qemu_command import Accelerator
from taskgen.host.records import Kind
from taskgen.profiles import load_profile


async def main(name, machines):
    directory = FleetDirectory.create(name, kind=Kind.DAEMON, namespace="", machines=Path(machines))
    with Inotify() as inotify:
        async with launch(
            counting(load_profile("linux-x86_64")),
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

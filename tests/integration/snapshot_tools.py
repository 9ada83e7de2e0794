"""Machines that go back to a saved state, for the tests of what can happen to that."""

import asyncio
from contextlib import asynccontextmanager

from taskgen.binaries import Binaries
from taskgen.host import snapshot_drive
from taskgen.host.qemu_command import Accelerator
from taskgen.host.snapshot_store import SnapshotStore
from taskgen.machine import Machine
from taskgen.machine_kind import MachineKind
from taskgen.run_settings import Reset


def kind_of(profile, path, *, limit_bytes=0, **options):
    return MachineKind(
        profile=profile,
        accelerator=Accelerator.TCG,
        binaries=Binaries([profile.binaries], profile.architecture),
        reset=Reset.SNAPSHOT,
        snapshots=SnapshotStore(path, limit_bytes),
        **options,
    )


@asynccontextmanager
async def started(kind, net, directory, number=1):
    """A machine that is ready."""
    machine = Machine(net.network.slot(number), kind, net, directory)
    try:
        await machine.start()
        yield machine
    finally:
        await machine.stop()


def image_in(path):
    """The one file with a saved state in a store."""
    (found,) = path.glob("*.qcow2")
    return found


def kill_amid(monkeypatch, machine, command, *, late=False):
    """Have the machine's QEMU killed while it carries out a job, the next time that it does.

    :param late: its connection has ended for some time before the kernel tells of its end.
    """
    carry_out = snapshot_drive.run_job

    def on_event(name, data):
        if name == "JOB_STATUS_CHANGE" and data["status"] == "running":
            process = machine.qemu.process
            if late:
                loop = asyncio.get_running_loop()
                loop.remove_reader(process._pidfd)
                loop.call_later(0.5, loop.add_reader, process._pidfd, process._on_death)
            process.signal(9)

    async def killed(qmp, asked, arguments, *, timeout_s):
        if asked == command:
            monkeypatch.setattr(snapshot_drive, "run_job", carry_out)
            qmp.on_event(on_event)
        await carry_out(qmp, asked, arguments, timeout_s=timeout_s)

    monkeypatch.setattr(snapshot_drive, "run_job", killed)

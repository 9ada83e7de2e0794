"""How there comes to be a QEMU: launched unprivileged and sandboxed, or adopted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack

from taskgen.errors import AdoptionError, HostError, LaunchError, MachineError
from taskgen.host import console_keys
from taskgen.host.accounts import runs_as
from taskgen.host.bridge import Tap
from taskgen.host.command_lines import is_qemu
from taskgen.host.descriptors import Descriptors
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.foreign_files import make_empty
from taskgen.host.inotify import Inotify
from taskgen.host.memory_file import MemoryFile
from taskgen.host.netns import Namespace
from taskgen.host.process import Process, start
from taskgen.host.process import adopt as find_process
from taskgen.host.qemu import CONSOLE, CONTROL, DEFAULT_USER, KVM_DEVICE, QEMU_LOG, QMP, Qemu
from taskgen.host.qemu_command import Accelerator, Launch, Memory, command
from taskgen.host.qmp import Qmp
from taskgen.host.records import MachineRecord
from taskgen.host.waiting import finish
from taskgen.profiles import Profile


async def launch(
    profile: Profile,
    name: str,
    *,
    directory: FleetDirectory,
    accelerator: Accelerator,
    inotify: Inotify,
    namespace: Namespace | None = None,
    tap: Tap | None = None,
    mac: str | None = None,
    user: str | None = DEFAULT_USER,
    icount: bool = False,
    paused: bool = False,
    slot: int = 0,
    fingerprint: str = "",
    memory: MemoryFile | None = None,
    template: str = "",
    template_saved_at: float | None = None,
    launched_from: Mapping[str, str] | None = None,
) -> Qemu:
    """A running QEMU, to be ended; its guest has only begun to boot.

    :param name: the machine's; its directory and record are made under it, and removed at the end.
    :param slot: for its record: the machine's number.
    :param fingerprint: for its record: tells machines that are not alike from each other.
    :param namespace: the network namespace that the process itself starts in.
    :param tap: the machine's tap, with ``mac``; our copy is closed then. ``None``: no network.
    :param user: who QEMU runs as; ``None``: the caller.
    :param icount: virtual time, where the profile offers it.
    :param paused: the guest does not begin to boot: it is to go on from a saved state.
    :param memory: what the guest's memory is to be; it gets a control port then.
    :param template: for its record: its guest does not boot, but goes on from the state of this
        name, and what it writes into ``memory`` stays its own.
    :param template_saved_at: for its record: when that was, seconds since the epoch.
    :param launched_from: for its record.
    :raises ConfigError: if the profile has no image.
    :raises HostError: if the host lacks the user or the emulator.
    :raises LaunchError: if QEMU does not start, with what it said.
    """
    files = profile.image_files()
    if icount and (profile.icount is None or accelerator is not Accelerator.TCG):
        raise HostError(f"profile {profile.name}: no virtual time with {accelerator}")
    owner = runs_as(user, KVM_DEVICE if accelerator is Accelerator.KVM else None)
    record = MachineRecord(
        name=name,
        profile=profile.name,
        accelerator=accelerator,
        slot=slot,
        fingerprint=fingerprint,
        template=template,
        template_saved_at=template_saved_at,
        launched_from=dict(launched_from or {}),
    )
    async with AsyncExitStack() as stack:
        if tap:
            stack.enter_context(tap)
        home = directory.add_machine(record, owner)
        stack.callback(directory.remove_machine, name)
        make_empty(qemu_log := home / QEMU_LOG, None)
        with Descriptors() as fds:
            prepared = Launch(
                name=name,
                uuid=record.uuid,
                accelerator=accelerator,
                files={path: fds.open(path, owner) for path in files},
                log_fd=fds.append(directory.consoles.of(name).begin(record.uuid)),
                console_fd=fds.listen(home / CONSOLE, owner, console_keys.KIND),
                qmp_fd=fds.listen(home / QMP, owner),
                mac=mac,
                tap_fd=tap.fd if tap else None,
                icount=icount,
                paused=paused,
                control_fd=fds.listen(home / CONTROL, owner) if memory else None,
                memory=Memory(path=memory.path, private=bool(template)) if memory else None,
                incoming=bool(template),
            )
            held = [*([tap.fd] if tap else []), *([memory.fd] if memory else [])]
            launched_at = time.monotonic()
            process = await start(
                name,
                command(profile, prepared),
                namespace=namespace,
                user=owner,
                fds=[*fds.all, *held],
                output=qemu_log,
            )
        stack.push_async_callback(_end, process)
        if tap:
            tap.close()
        try:
            qmp = await Qmp.connect(name, home / QMP)
        except MachineError as error:
            ended = await process.stop(grace_s=1.0)  # it is ending by itself, as a rule
            raise LaunchError(f"{name}: QEMU did not start: {ended}") from error
        stack.push_async_callback(qmp.close)
        qemu = Qemu(record, process, qmp, directory, inotify=inotify, launched_at=launched_at)
        _listen(qemu)
        stack.pop_all()
    return qemu


async def adopt(
    record: MachineRecord, *, directory: FleetDirectory, inotify: Inotify, timeout_s: float = 5.0
) -> Qemu:
    """The QEMU that an engine before us launched, to be ended.

    If that cannot be, it is ended, and nothing is left of it.

    :param timeout_s: limit for its answer.
    :raises AdoptionError: if it has ended, does not answer, or its guest does not run.
    """
    name, home = record.name, directory.machine(record.name)
    async with AsyncExitStack() as stack:
        stack.callback(directory.remove_machine, name)
        process = await find_process(
            name, lambda argv: is_qemu(argv, [record.uuid]), output=home / QEMU_LOG
        )
        if process is None:
            raise AdoptionError(f"{name}: its QEMU has ended while nobody watched it")
        stack.push_async_callback(_end, process)
        boots = directory.consoles.of(name).boots
        if not boots or boots[-1].uuid != record.uuid:
            raise AdoptionError(f"{name} cannot be adopted: the log of its console is lost")
        try:
            qmp = await Qmp.connect(name, home / QMP, timeout_s=timeout_s)
        except MachineError as error:
            raise AdoptionError(f"{name} cannot be adopted: {error.message}") from error
        launched_at = time.monotonic() - (time.time() - record.created)
        stack.push_async_callback(qmp.close)
        qemu = Qemu(record, process, qmp, directory, inotify=inotify, launched_at=launched_at)
        _listen(qemu)
        stack.pop_all()
    try:
        if (status := await _status(qemu)) != "running":
            raise AdoptionError(f"{name} cannot be adopted: its guest is {status}")
    except BaseException:
        await qemu.end()
        raise
    return qemu


def _listen(qemu: Qemu) -> None:
    """To what it says of itself."""
    qemu.log.record(qemu.console)
    qemu.qmp.on_event(lambda name, data: qemu.log.reset() if name == "RESET" else None)
    qemu.process.on_end(lambda _: qemu.console_hub.end())


async def _status(qemu: Qemu) -> str:
    try:
        return await qemu.qmp.status()
    except MachineError as error:
        raise AdoptionError(f"{qemu.name} cannot be adopted: {error.message}") from error


async def _end(process: Process) -> None:
    await finish(process.stop())

"""One QEMU process: launched unprivileged and sandboxed, or adopted; watched, stopped, let go."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from taskgen.errors import (
    AdoptionError,
    BootError,
    HostError,
    LaunchError,
    MachineDiedError,
    MachineError,
)
from taskgen.host import console_keys
from taskgen.host.accounts import runs_as
from taskgen.host.bridge import Tap
from taskgen.host.command_lines import is_qemu
from taskgen.host.console import Console
from taskgen.host.console_hub import ConsoleHub
from taskgen.host.descriptors import Descriptors
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.foreign_files import make_empty
from taskgen.host.inotify import Inotify
from taskgen.host.memory_file import MemoryFile
from taskgen.host.netns import Namespace
from taskgen.host.process import Exit, Process, start
from taskgen.host.process import adopt as find_process
from taskgen.host.qemu_command import Accelerator, Launch, Memory, command
from taskgen.host.qmp import Qmp
from taskgen.host.records import MachineRecord
from taskgen.host.waiting import finish
from taskgen.profiles import Profile

log = logging.getLogger(__name__)

#: The system user that QEMU runs as.
DEFAULT_USER = "taskgen-qemu"

KVM_DEVICE = Path("/dev/kvm")

_QUIT_S, _TERM_S = 2.0, 2.0

# Files in a machine's directory.
_CONSOLE = "console.sock"
_CONTROL = "control.sock"
_QEMU_LOG = "qemu.log"
_QMP = "qmp.sock"


class Qemu:
    """A running QEMU. Made by :func:`launch` or :func:`adopt`.

    :ivar record: its name, profile, accelerator and UUID.
    :ivar qmp: its control connection.
    :ivar console: what its serial line says.
    :ivar log: what is kept of that, and of the machines before it.
    :ivar console_hub: its serial line, for those who watch and type.
    :ivar control: the socket of its control port, if it has one.
    :ivar launched_at: ``time.monotonic()`` just before it was started.
    :ivar left_running: set it to have it left running, with its files, when its block is left.
    """

    def __init__(
        self,
        record: MachineRecord,
        process: Process,
        qmp: Qmp,
        directory: FleetDirectory,
        *,
        inotify: Inotify,
        launched_at: float,
    ) -> None:
        self.record = record
        self.process = process
        self.qmp = qmp
        self.log = directory.consoles.of(record.name)
        boot = self.log.boots[-1]
        self.console = Console(self.log.file(boot), inotify, first=boot.kept_from)
        home = directory.machine(record.name)
        self.control = home / _CONTROL
        self.console_hub = ConsoleHub(record.name, home / _CONSOLE, self.console)
        self.launched_at = launched_at
        self.left_running = False

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def pid(self) -> int:
        return self.process.pid

    async def wait(self) -> Exit:
        """Wait until it has ended, in whatever way. May be cancelled; any number of waiters."""
        return await self.process.wait()

    async def died(self) -> MachineDiedError:
        """Wait until it has ended; the error that says how, with the console's last lines.

        The error is returned, not raised, for the caller to raise where it fits.
        """
        return self._death(await self.process.wait())

    def on_death(self, callback: Callable[[MachineDiedError], object]) -> Callable[[], object]:
        """Call ``callback`` with the error of :meth:`died` once it has ended; it must not block.

        :returns: call that to have it called no more.
        """
        return self.process.on_end(lambda ended: callback(self._death(ended)))

    async def first_output(self, silent_s: float) -> None:
        """Wait for the guest's first output, whatever it is.

        :raises BootError: if there is none after ``silent_s``, with what that usually means.
        """
        if not await self.console.wait_for("(?s).", silent_s):
            raise BootError(
                f"{self.name}: no console output for {silent_s:g} s after start",
                hint="the image may need more memory (-m) or another CPU count (-smp): "
                "memory_mb and cpus of the profile",
            )

    async def stop(self) -> Exit:
        """End it: by QMP, else SIGTERM, else SIGKILL, with a limit for each.

        :raises HostError: if not even that ends it.
        """
        if self.process.exit is None:
            try:
                await self.qmp.execute("quit", timeout_s=_QUIT_S)
            except MachineError as error:
                log.debug("%s: quit: %s", self.name, error)
            else:
                return await self.process.stop(grace_s=_QUIT_S, term_s=_TERM_S)
        return await self.process.stop(term_s=_TERM_S)

    def _death(self, ended: Exit) -> MachineDiedError:
        return MachineDiedError(f"{self.name}: QEMU {ended}", console=self.console.tail())

    async def let_go(self) -> None:
        """Let go of it; it runs on, and another engine can adopt it."""
        try:
            await self.console_hub.close()
            await self.qmp.close()
        finally:
            self.process.release()


@asynccontextmanager
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
) -> AsyncIterator[Qemu]:
    """A running QEMU while in the block; its guest has only begun to boot on entry.

    :param name: the machine's; its directory and record are made under it, and removed at the end.
    :param slot: for its record: the machine's number.
    :param fingerprint: for its record: tells machines that are not alike from each other.
    :param namespace: the network namespace that the process itself starts in.
    :param tap: the machine's tap, with ``mac``; QEMU alone holds it on entry. ``None``: no network.
    :param user: who QEMU runs as; ``None``: the caller.
    :param icount: virtual time, where the profile offers it.
    :param paused: the guest does not begin to boot: it is to go on from a saved state.
    :param memory: what the guest's memory is to be; it gets a control port then.
    :param template: for its record: its guest does not boot, but goes on from the state of this
        name, and what it writes into ``memory`` stays its own.
    :param template_saved_at: for its record: when that was, seconds since the epoch.
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
    )
    async with AsyncExitStack() as stack:
        if tap:
            stack.enter_context(tap)
        home = directory.add_machine(record, owner)
        stack.callback(directory.remove_machine, name)
        make_empty(qemu_log := home / _QEMU_LOG, None)
        with Descriptors() as fds:
            prepared = Launch(
                name=name,
                uuid=record.uuid,
                accelerator=accelerator,
                files={path: fds.open(path, owner) for path in files},
                log_fd=fds.append(directory.consoles.of(name).begin(record.uuid)),
                console_fd=fds.listen(home / _CONSOLE, owner, console_keys.KIND),
                qmp_fd=fds.listen(home / _QMP, owner),
                mac=mac,
                tap_fd=tap.fd if tap else None,
                icount=icount,
                paused=paused,
                control_fd=fds.listen(home / _CONTROL, owner) if memory else None,
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
            tap.close()  # from now on it goes when QEMU goes
        try:
            qmp = await Qmp.connect(name, home / _QMP)
        except MachineError as error:
            ended = await process.stop(grace_s=1.0)  # it is ending by itself, as a rule
            raise LaunchError(f"{name}: QEMU did not start: {ended}") from error
        qemu = Qemu(record, process, qmp, directory, inotify=inotify, launched_at=launched_at)
        async with _controlled(stack, qemu):
            yield qemu


@asynccontextmanager
async def adopt(
    record: MachineRecord, *, directory: FleetDirectory, inotify: Inotify, timeout_s: float = 5.0
) -> AsyncIterator[Qemu]:
    """The QEMU that an engine before us launched, while in the block.

    If that cannot be, it is ended, and nothing is left of it.

    :param timeout_s: limit for its answer.
    :raises AdoptionError: if it has ended, does not answer, or its guest does not run.
    """
    name, home = record.name, directory.machine(record.name)
    async with AsyncExitStack() as stack:
        stack.callback(directory.remove_machine, name)
        process = await find_process(
            name, lambda argv: is_qemu(argv, [record.uuid]), output=home / _QEMU_LOG
        )
        if process is None:
            raise AdoptionError(f"{name}: its QEMU has ended while nobody watched it")
        stack.push_async_callback(_end, process)
        boots = directory.consoles.of(name).boots
        if not boots or boots[-1].uuid != record.uuid:
            raise AdoptionError(f"{name} cannot be adopted: the log of its console is lost")
        try:
            qmp = await Qmp.connect(name, home / _QMP, timeout_s=timeout_s)
        except MachineError as error:
            raise AdoptionError(f"{name} cannot be adopted: {error.message}") from error
        launched_at = time.monotonic() - (time.time() - record.created)
        qemu = Qemu(record, process, qmp, directory, inotify=inotify, launched_at=launched_at)
        async with _controlled(stack, qemu):
            if (status := await _status(qemu)) != "running":
                raise AdoptionError(f"{name} cannot be adopted: its guest is {status}")
            yield qemu


@asynccontextmanager
async def _controlled(stack: AsyncExitStack, qemu: Qemu) -> AsyncIterator[None]:
    """At the end it is stopped, or the stack is emptied and it runs on."""
    recording = AsyncExitStack()
    await recording.enter_async_context(qemu.log.recording(qemu.console))
    stack.push_async_callback(recording.aclose)
    qemu.qmp.on_event(lambda name, data: qemu.log.reset() if name == "RESET" else None)
    stack.push_async_callback(qemu.qmp.close)
    stack.push_async_callback(qemu.console_hub.close)
    stack.push_async_callback(_stop, qemu)
    qemu.process.on_end(lambda _: qemu.console_hub.end())
    try:
        yield
    finally:
        if qemu.left_running and qemu.process.exit is None:
            stack.pop_all()
            try:
                await finish(qemu.let_go())
            finally:
                await recording.aclose()


async def _status(qemu: Qemu) -> str:
    try:
        return await qemu.qmp.status()
    except MachineError as error:
        raise AdoptionError(f"{qemu.name} cannot be adopted: {error.message}") from error


async def _stop(qemu: Qemu) -> None:
    await finish(qemu.stop())


async def _end(process: Process) -> None:
    await finish(process.stop())

"""One QEMU process: launched unprivileged and sandboxed, watched, stopped."""

from __future__ import annotations

import logging
import os
import socket
import stat
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from taskgen.errors import BootError, HostError, LaunchError, MachineDiedError, MachineError
from taskgen.host.accounts import Account, account, group_of
from taskgen.host.bridge import Tap
from taskgen.host.console import Console
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.inotify import Inotify
from taskgen.host.netns import Namespace
from taskgen.host.process import Exit, Process, start
from taskgen.host.qemu_command import Accelerator, Launch, command
from taskgen.host.qmp import Qmp
from taskgen.host.records import MachineRecord
from taskgen.host.waiting import finish
from taskgen.profiles import Profile

log = logging.getLogger(__name__)

#: The system user that QEMU runs as.
DEFAULT_USER = "taskgen-qemu"

KVM_DEVICE = Path("/dev/kvm")

_QUIT_S = 2.0
_TERM_S = 2.0
_SUN_PATH = 107  # unix(7), without the trailing NUL


class Qemu:
    """A running QEMU. Made by :func:`launch`.

    :ivar record: its name, profile, accelerator and UUID.
    :ivar qmp: its control connection.
    :ivar console: its serial line.
    :ivar launched_at: ``time.monotonic()`` just before it was started.
    """

    def __init__(
        self,
        record: MachineRecord,
        process: Process,
        qmp: Qmp,
        console: Console,
        launched_at: float,
    ) -> None:
        self.record = record
        self.process = process
        self.qmp = qmp
        self.console = console
        self.launched_at = launched_at
        self._stopping = False

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
        ended = await self.process.wait()
        return MachineDiedError(f"{self.name}: QEMU {ended}", console=self.console.tail())

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
) -> AsyncIterator[Qemu]:
    """A running QEMU while in the block; its guest has only begun to boot on entry.

    :param name: the machine's; its directory and record are made under it, and removed at the end.
    :param namespace: the network namespace that the process itself starts in.
    :param tap: the machine's tap, with ``mac``; QEMU alone holds it on entry. ``None``: no network.
    :param user: who QEMU runs as; ``None``: the caller.
    :param icount: virtual time, where the profile offers it.
    :raises ConfigError: if the profile has no image.
    :raises HostError: if the host lacks the user or the emulator.
    :raises LaunchError: if QEMU does not start, with what it said.
    """
    files = profile.image_files()
    if icount and (profile.icount is None or accelerator is not Accelerator.TCG):
        raise HostError(f"profile {profile.name}: no virtual time with {accelerator}")
    owner = _account(user, accelerator)
    record = MachineRecord(name=name, profile=profile.name, accelerator=accelerator)
    async with AsyncExitStack() as stack:
        if tap:
            stack.enter_context(tap)
        home = directory.add_machine(record, owner)
        stack.callback(directory.remove_machine, name)
        log_file = _empty_file(home / "console.log", owner)
        # Ours are closed once QEMU has its copies; else a QEMU that dies would go unnoticed.
        with _Descriptors() as fds:
            prepared = Launch(
                name=name,
                uuid=record.uuid,
                accelerator=accelerator,
                files={path: fds.open(path, owner) for path in files},
                console=log_file,
                qmp_fd=fds.listen(home / "qmp.sock", owner),
                mac=mac,
                tap_fd=tap.fd if tap else None,
                icount=icount,
            )
            launched_at = time.monotonic()
            process = await start(
                name,
                command(profile, prepared),
                namespace=namespace,
                user=owner,
                fds=[*fds.all, *([tap.fd] if tap else [])],
                output=_empty_file(home / "qemu.log", None),
            )
        stack.push_async_callback(_end, process)
        if tap:
            tap.close()  # from now on it goes when QEMU goes
        console = Console(log_file, inotify)
        try:
            qmp = await Qmp.connect(name, home / "qmp.sock")
        except MachineError as error:
            ended = await process.stop(grace_s=1.0)  # it is ending by itself, as a rule
            raise LaunchError(f"{name}: QEMU did not start: {ended}") from error
        stack.push_async_callback(qmp.close)
        qemu = Qemu(record, process, qmp, console, launched_at)
        stack.push_async_callback(_stop, qemu)
        yield qemu


async def _stop(qemu: Qemu) -> None:
    await finish(qemu.stop())


async def _end(process: Process) -> None:
    await finish(process.stop())


def _account(user: str | None, accelerator: Accelerator) -> Account | None:
    if user is None:
        return None
    owner = account(user)
    group = group_of(KVM_DEVICE) if accelerator is Accelerator.KVM else None
    return replace(owner, groups=(group,)) if group is not None else owner


def _empty_file(path: Path, owner: Account | None) -> Path:
    path.touch(mode=0o600)
    if owner:
        os.chown(path, owner.uid, owner.gid)
    return path


class _Descriptors:
    """The files and sockets that a QEMU inherits."""

    def __init__(self) -> None:
        self.all: list[int] = []

    def open(self, path: Path, owner: Account | None) -> str:
        """Open an image; the path by which the child reaches it.

        The image may lie in a home directory that the QEMU user must not enter.
        """
        mode = path.stat().st_mode
        if owner and not mode & stat.S_IROTH and path.stat().st_uid != owner.uid:
            raise HostError(f"{path}: not readable by the QEMU user", hint=f"chmod o+r {path}")
        self.all.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return f"/proc/self/fd/{self.all[-1]}"

    def listen(self, path: Path, owner: Account | None) -> int:
        """A listening Unix socket, bound here so that a connection can be made at once."""
        if len(os.fsencode(path)) > _SUN_PATH:
            raise HostError(f"{path}: too long for a Unix socket", hint="set TASKGEN_RUN shorter")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.bind(str(path))
            path.chmod(0o600)
            if owner:
                os.chown(path, owner.uid, owner.gid)
            sock.listen(1)
            self.all.append(sock.detach())
        return self.all[-1]

    def __enter__(self) -> _Descriptors:
        return self

    def __exit__(self, *exception: object) -> None:
        while self.all:
            os.close(self.all.pop())

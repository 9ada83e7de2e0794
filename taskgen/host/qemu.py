"""One QEMU process, and what can be done with it: it is watched, stopped, let go."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

from taskgen.errors import BootError, MachineDiedError, MachineError
from taskgen.host.console import Console
from taskgen.host.console_hub import ConsoleHub
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.inotify import Inotify
from taskgen.host.process import Exit, Process
from taskgen.host.qmp import Qmp
from taskgen.host.records import MachineRecord
from taskgen.host.waiting import finish

log = logging.getLogger(__name__)

#: The system user that QEMU runs as.
DEFAULT_USER = "taskgen-qemu"

KVM_DEVICE = Path("/dev/kvm")

_QUIT_S, _TERM_S = 2.0, 2.0

#: A QEMU that is killed closes its sockets first. The kernel tells of its end within some
#: milliseconds, and later where the host is busy.
_ENDING_S = 2.0

#: Files in a machine's directory.
CONSOLE = "console.sock"
CONTROL = "control.sock"
QEMU_LOG = "qemu.log"
QMP = "qmp.sock"


class Qemu:
    """A running QEMU. Made by :mod:`taskgen.host.qemu_start`, ended by :meth:`end`, or as an
    asynchronous context manager.

    :ivar record: its name, profile, accelerator and UUID.
    :ivar qmp: its control connection.
    :ivar console: what its serial line says.
    :ivar log: what is kept of that, and of the machines before it.
    :ivar console_hub: its serial line, for those who watch and type.
    :ivar control: the socket of its control port, if it has one.
    :ivar launched_at: ``time.monotonic()`` just before it was started.
    :ivar left_running: set it to have :meth:`end` leave it running, with its files.
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
        self._directory = directory
        self.record = record
        self.process = process
        self.qmp = qmp
        self.log = directory.consoles.of(record.name)
        boot = self.log.boots[-1]
        self.console = Console(self.log.file(boot), inotify, first=boot.kept_from)
        home = directory.machine(record.name)
        self.control = home / CONTROL
        self.console_hub = ConsoleHub(record.name, home / CONSOLE, self.console)
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

    async def death(self) -> MachineDiedError | None:
        """The error of :meth:`died` if it has ended, or is about to; ``None``: it runs.

        Is asked after a command has failed: that may be told before the kernel tells the reason.
        """
        if self.qmp.lost:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), _ENDING_S)
        return self._death(self.process.exit) if self.process.exit else None

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
        killed = ended.code in (-signal.SIGKILL, -signal.SIGTERM)
        return MachineDiedError(
            f"{self.name}: QEMU {ended}", console=self.console.tail(), killed=killed
        )

    async def end(self) -> None:
        """Stop it, and leave nothing of it; or let it run on, for another engine to adopt it."""
        if self.left_running and self.process.exit is None:
            await finish(self._let_go())
        else:
            await finish(self._end())

    async def _end(self) -> None:
        # Made only now: to keep such a stack for each machine takes kilobytes.
        async with AsyncExitStack() as stack:
            stack.callback(self._directory.remove_machine, self.name)
            stack.push_async_callback(self.process.stop)
            stack.push_async_callback(self.log.stop)
            stack.push_async_callback(self.qmp.close)
            stack.push_async_callback(self.console_hub.close)
            await self.stop()

    async def _let_go(self) -> None:
        try:
            await self.console_hub.close()
            await self.qmp.close()
        finally:
            self.process.release()
            await self.log.stop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.end()

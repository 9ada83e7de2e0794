"""One machine's life: tap, QEMU, lease, session; then run after run; then nothing is left of it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from taskgen.binaries import Binaries
from taskgen.errors import BootError, MachineDiedError, MachineError, SessionError
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.qemu import DEFAULT_USER, Qemu, launch
from taskgen.host.qemu_command import Accelerator
from taskgen.host.waiting import finish
from taskgen.interfaces import Emit, FailureClass, Outcome, Run
from taskgen.lifecycle import Lifecycle, MachineState
from taskgen.profiles import Profile
from taskgen.protocol import DEFAULT_PORT
from taskgen.session import Limits, Session
from taskgen.session_manager import Boot, Rules, SessionManager
from taskgen.settings import Reset
from taskgen.slots import Slot

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds from ``system_reset`` to QEMU's word that it has reset the machine.
RESET_S = 10.0


@dataclass(frozen=True, kw_only=True)
class MachineKind:
    """What the machines of one fleet have in common.

    :ivar accelerator: what executes the guests' instructions.
    :ivar binaries: where the task binaries lie.
    :ivar user: the system user that QEMU runs as; ``None``: the caller.
    :ivar icount: virtual time, where the profile offers it.
    :ivar reset: what is done to a machine between two runs.
    :ivar provenance: goes into each outcome, beside what the machine itself adds.
    """

    profile: Profile
    accelerator: Accelerator
    binaries: Binaries
    user: str | None = DEFAULT_USER
    icount: bool = False
    reset: Reset = Reset.CLEAR
    provenance: Mapping[str, Any] = field(default_factory=dict)


class Machine:
    """The machine of one slot, from its launch to its end. It never comes back: make another.

    :param kind: what it is.
    :param network: where its tap, lease and connection come from.
    :param directory: where its files and its record lie.
    """

    def __init__(
        self, slot: Slot, kind: MachineKind, network: FleetNetwork, directory: FleetDirectory
    ) -> None:
        self.slot = slot
        self.kind = kind
        self._network = network
        self._directory = directory
        self._life = Lifecycle(slot.name)
        self._stack = AsyncExitStack()
        self._qemu: Qemu | None = None
        self._manager: SessionManager | None = None
        self._reset: asyncio.Event | None = None  # while we are resetting it
        self.ready_s: float | None = None  #: seconds from the launch to the answer

    @property
    def name(self) -> str:
        return self.slot.name

    @property
    def profile(self) -> str:
        return self.kind.profile.name

    @property
    def state(self) -> MachineState:
        return self._life.state

    @property
    def usable(self) -> bool:
        standing = self._manager is not None and self._manager.session.usable
        return standing and self.state is MachineState.READY

    @property
    def qemu(self) -> Qemu:
        """Its QEMU; only while there is one."""
        assert self._qemu is not None, f"{self.name} is {self.state}"
        return self._qemu

    async def start(self) -> None:
        """Launch it, and wait until its guest answers ``AVAILABLE``.

        :raises MachineError: if QEMU does not start, or ends, or its guest does not get ready.
        :raises HostError: if the host lacks something.
        """
        self._life.to(MachineState.LAUNCHING)
        profile = self.kind.profile
        tap = await self._network.open_tap(self.slot)
        self._stack.enter_context(tap)
        self._qemu = await self._stack.enter_async_context(
            launch(
                profile,
                self.name,
                directory=self._directory,
                accelerator=self.kind.accelerator,
                inotify=self._network.inotify,
                namespace=self._network.namespace,
                tap=tap,
                mac=self.slot.mac,
                user=self.kind.user,
                icount=self.kind.icount,
            )
        )
        self._life.to(MachineState.BOOTING)
        session = await self._unless_it_dies(self._boot())
        self._manager = SessionManager(
            session,
            Boot(),
            Rules(reset=self.kind.reset, after_stall=True),
            binaries=self.kind.binaries,
            optimize=profile.optimize,
            restart=self._restart,
            lost_class=FailureClass.MACHINE,
        )
        self._stack.push_async_callback(self._manager.close)
        self.qemu.qmp.on_event(self._on_qmp_event)
        self.ready_s = time.monotonic() - self.qemu.launched_at
        self._life.to(MachineState.READY)
        log.info("%s: ready after %.1f s", self.name, self.ready_s)

    async def execute(self, run: Run, emit: Emit) -> Outcome:
        """Carry out one run. All that can fail becomes an outcome; cancellation passes."""
        assert self._manager is not None, f"{self.name} is {self.state}"
        self._life.to(MachineState.RUNNING)
        try:
            outcome = await self._unless_it_dies(self._manager.execute(run, emit))
        except asyncio.CancelledError:
            usable = self._manager.session.usable
            self._life.to(MachineState.READY if usable else MachineState.FAILED)
            raise
        except MachineDiedError as error:
            outcome = Outcome(
                target=self.name,
                failure=FailureClass.MACHINE,
                reason=error.message,
                console=error.console,
            )
        sound = outcome.failure in (None, FailureClass.TASK)
        self._life.to(MachineState.READY if sound else MachineState.FAILED)
        return replace(
            outcome,
            console=outcome.console or (self.qemu.console.tail() if outcome.failure else ""),
            provenance={
                **self.kind.provenance,
                **outcome.provenance,
                "profile": self.profile,
                "accelerator": str(self.kind.accelerator),
                "icount": self.kind.icount,
            },
        )

    async def stop(self) -> None:
        """End it and release all that it holds, in whatever state it is."""
        if self.state is MachineState.NEW:
            self._life.to(MachineState.STOPPED)
            return
        self._life.to(MachineState.STOPPING)
        await finish(self._stack.aclose())
        self._life.to(MachineState.STOPPED)

    async def _boot(self) -> Session:
        """Wait until the guest is ready.

        :raises BootError: if it is not within the profile's limit, with what it got to.
        """
        profile, qemu = self.kind.profile, self.qemu
        reached = "it has no DHCP lease"
        try:
            async with asyncio.timeout(profile.boot_timeout_s):
                # Silence is looked into only until there is a lease: a guest need not print.
                lease = await self._lease_or_silence()
                reached = f"it has a lease, {lease}, but does not answer there"
                limits = Limits(connect_s=profile.boot_timeout_s)
                return await Session.open(self.name, lambda: self._connect(lease), limits=limits)
        except TimeoutError as error:
            raise BootError(
                f"{self.name}: not ready after {profile.boot_timeout_s:g} s: {reached}",
                hint="its console's last lines say more",
                console=qemu.console.tail(),
            ) from error
        except SessionError as error:
            raise BootError(
                f"{self.name}: {reached}: {error.message}", console=qemu.console.tail()
            ) from error

    async def _lease_or_silence(self) -> str:
        profile = self.kind.profile
        output = asyncio.create_task(self.qemu.first_output(profile.silent_s))
        lease = asyncio.create_task(self._network.wait_lease(self.slot, profile.boot_timeout_s))
        try:
            await asyncio.wait([output, lease], return_when=asyncio.FIRST_COMPLETED)
            if not lease.done():
                output.result()  # raises what silence means
            return str((await lease).address)
        finally:
            for task in (output, lease):
                task.cancel()
            await asyncio.wait([output, lease])

    async def _connect(self, address: str) -> socket.socket:
        return await self._network.connect(
            address, DEFAULT_PORT, timeout_s=self.kind.profile.boot_timeout_s
        )

    async def _restart(self, session: Session) -> Session:
        """Reset the machine, and wait until its guest is ready again.

        :raises MachineError: if QEMU does not reset it, or the guest does not get ready.
        """
        await session.close()
        self._network.leases.forget(self.slot.mac)
        self._reset = asyncio.Event()
        try:
            await self.qemu.qmp.execute("system_reset")
            async with asyncio.timeout(RESET_S):
                await self._reset.wait()
        except TimeoutError as error:
            raise MachineError(
                f"{self.name}: QEMU has not reset it within {RESET_S:g} s",
                console=self.qemu.console.tail(),
            ) from error
        finally:
            self._reset = None
        return await self._boot()

    def _on_qmp_event(self, name: str, data: Mapping[str, Any]) -> None:
        """After a reset the connection says neither FIN nor RST until we send something."""
        if name != "RESET":
            return
        if self._reset is not None:
            self._reset.set()
        elif self._manager is not None:
            by = "its guest" if data.get("guest") else "somebody else"
            self._manager.session.lose(f"was reset by {by}")

    async def _unless_it_dies(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work``.

        :raises MachineDiedError: if QEMU ends first.
        """
        working = asyncio.create_task(work)
        dying = asyncio.create_task(self.qemu.died())
        try:
            await asyncio.wait([working, dying], return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise dying.result()
            return await working
        finally:
            for task in (working, dying):
                task.cancel()
            await asyncio.wait([working, dying])

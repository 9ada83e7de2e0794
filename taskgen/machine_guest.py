"""The guest of one QEMU: made ready, started anew, and watched for all that makes it useless.

Whoever has it is told when it can take no more runs, and why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Address
from typing import Any, TypeVar

from taskgen.booting import wait_ready, wait_restored
from taskgen.diagnosis import ConsoleFault
from taskgen.errors import BootError, MachineError
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.guest_reset import GuestReset
from taskgen.host.leases import Lease
from taskgen.interfaces import FailureClass, Outcome
from taskgen.machine_doctor import MachineDoctor
from taskgen.machine_kind import MachineKind
from taskgen.machine_launch import Launched
from taskgen.machine_loss import Loss
from taskgen.machine_snapshot import MachineSnapshot
from taskgen.session import Session
from taskgen.slots import Slot

T = TypeVar("T")


class Guest:
    """From its QEMU's start to :meth:`close`, over any number of restarts.

    :param troubles: where the last diagnosis of each slot is kept.
    :param loss: of the machine; told which QEMU it has.
    :param on_lost: called with what has happened to it; must not block.
    :ivar as_saved: whether it is just as it was saved, or no state of it is.
    :ivar session: the one with it, which may have ended; ``None`` until it was ready once.
    """

    def __init__(
        self,
        slot: Slot,
        kind: MachineKind,
        network: FleetNetwork,
        launched: Launched,
        *,
        troubles: dict[int, Mapping[str, Any]],
        loss: Loss,
        on_lost: Callable[[str], object],
    ) -> None:
        self.as_saved = True
        self.session: Session | None = None
        self._in_place = kind.goes_back_in_place
        self._slot = slot
        self._profile = kind.profile
        self._network = network
        self._qemu = qemu = launched.qemu
        self._on_lost = on_lost
        self._saved = launched.saved
        self._restarting_since: float | None = None  # until it is ready
        self._resets = GuestReset(qemu, on_unasked=self._on_reset, on_panic=self._on_fatal)
        self._doctor = MachineDoctor(
            slot,
            kind.profile,
            network,
            qemu,
            self._resets,
            troubles=troubles,
            dumps=kind.dumps,
            on_fatal=self._on_console_fault,
            adopted=qemu.process.adopted,
        )
        self._loss = loss
        loss.watch(qemu)

    async def start(self) -> Session:
        """Have it go on from its saved state, else boot, after its QEMU's launch. One from the
        template goes on already.

        :returns: a session with it.
        :raises MachineError: if it does not get ready, or QEMU does not answer.
        """
        if self._qemu.record.template:
            return await self._answering(str(self._slot.address))
        if self._saved is None:
            return await self._ready()
        paused = self._saved.snapshot is not None
        await self._saved.attach(self._qemu.qmp)
        if (session := await self._restored(self._saved)) is not None:
            self._qemu.log.restored()
            return session
        if paused:
            await self._resets.perform()  # nothing of the state may be left
        return await self._booted()

    async def adopt(self) -> Session:
        """Go on with one that an engine before us had; whatever it was doing is cleared.

        :returns: a session with it.
        :raises MachineError: if it does not answer, or QEMU does not.
        """
        if self._saved is not None:
            await self._saved.adopt(self._qemu.qmp)
            self._know_address(self._saved)
        return await self._ready(adopted=True)

    async def restart(self, session: Session) -> Session:
        """Have it go back to its saved state, else reset it, and wait until it is ready again.

        :param session: the one with it; closed, whatever happens.
        :raises MachineError: if QEMU does not do it, or it does not get ready.
        """
        await session.drop()
        self._restarting_since = time.monotonic()
        restored = await self._restored(self._saved) if self._saved else None
        if restored is None:
            self._network.leases.forget(self._slot.mac)
            await self._resets.perform()
            restored = await self._booted()
        self._restarting_since = None
        return restored

    def begin_run(self) -> None:
        """What it has said so far has nothing to do with the run that begins."""
        self._doctor.begin_run()

    async def judge(self, outcome: Outcome, *, stalled: bool) -> tuple[Outcome, bool]:
        """The outcome of a run, with why it failed, and whether another run can follow.

        :param stalled: it did not end by itself.
        """
        assert self.session is not None, "it was ready for the run"
        if outcome.failure is FailureClass.TASK and stalled:
            outcome = await self._doctor.of_stall(outcome, self.session)
            return outcome, outcome.failure is FailureClass.TASK
        if outcome.failure in (None, FailureClass.TASK):
            return outcome, True
        since = self._restarting_since
        restarted_s = None if since is None else time.monotonic() - since
        return await self._doctor.of_run(outcome, self.session, restarted_s=restarted_s), False

    async def of_boot(self, error: MachineError) -> MachineError:
        """What is wrong with it if it did not get ready after its QEMU's start.

        :returns: the error to be raised.
        """
        return await self._doctor.of_boot(error, time.monotonic() - self._qemu.launched_at)

    async def of_idle(self, trouble: str) -> str:
        """What is wrong with it if it had nothing to do, in a line.

        :param trouble: what was noticed.
        """
        return await self._doctor.of_idle(trouble, self.session)

    async def close(self) -> None:
        """Watch it no more, and end the session with it, whoever has that."""
        self._loss.let_go()
        self._doctor.close()
        session, self.session = self.session, None
        if session is not None:
            await (session.close() if self._qemu.left_running else session.drop())

    async def _ready(self, *, adopted: bool = False) -> Session:
        return await self._confined(
            await wait_ready(self._slot, self._profile, self._network, self._qemu, adopted=adopted)
        )

    async def _confined(self, session: Session) -> Session:
        """Forbid it to start anew by itself."""
        try:
            await self._resets.forbid()
        except BaseException:
            await session.close()
            raise
        self.session = session
        session.on_end(partial(self._on_session_end, session))
        return session

    async def _booted(self) -> Session:
        """Wait until it has booted, and save its state if that can be."""
        session = await self._ready()
        saved = self._saved
        if saved is None or not await saved.possible():
            return session
        try:
            await session.finish()  # a guest serves one client: what is saved must have none
            await saved.save(self._address)
            session = await self._go_back(saved)  # only so it is known that this can be done
            try:
                await saved.keep()
            except BaseException:
                await session.close()
                raise
        except MachineError as error:
            await self._qemu.qmp.status()  # if QEMU has died, that is all that is wrong
            await saved.do_without(error)
            await self._resets.perform()
            return await self._ready()
        self.as_saved = self._in_place
        return session

    async def _restored(self, saved: MachineSnapshot) -> Session | None:
        """Have it go back to its saved state; ``None``: it has none that serves."""
        if saved.snapshot is None:
            return None
        try:
            return await self._go_back(saved)
        except MachineError as error:
            await self._qemu.qmp.status()  # if QEMU has died, that is all that is wrong
            await saved.drop(error)
            return None

    async def _go_back(self, saved: MachineSnapshot) -> Session:
        self._resets.forget()
        await saved.load()
        self._know_address(saved)
        return await self._answering(saved.address)

    async def _answering(self, address: str) -> Session:
        """Wait until it answers. From a saved state it asks nobody for an address."""
        return await self._confined(
            await wait_restored(
                *(self._slot, self._profile, self._network, self._qemu), address=address
            )
        )

    @property
    def _address(self) -> str:
        """The one of its lease, which it has got by now."""
        lease = self._network.leases.current(self._slot.mac)
        return str(lease.address if lease else self._slot.address)

    def _know_address(self, saved: MachineSnapshot) -> None:
        """It has the address that it had when it was saved, without asking for it, and for good."""
        mac, leases = self._slot.mac, self._network.leases
        if saved.address:
            lease = Lease(mac, IPv4Address(saved.address), None)
            if leases.current(mac) != lease:  # also one that would end: nobody renews it
                leases.told(lease)

    def _on_reset(self, what: str) -> None:
        """After a reset the connection says neither FIN nor RST until we send something."""
        if self.session is not None:  # else it boots, and may do that
            self.session.lose(what)
            self._on_lost(f"{self._slot.name}: {what}")

    def _on_console_fault(self, fault: ConsoleFault) -> None:
        self._on_fatal(f"its console says: {fault.line}")

    def _on_fatal(self, what: str) -> None:
        """It does not go on, and may say nothing of that to us."""
        if self.session is not None and self.session.usable:
            self._on_reset(what)
        else:
            error = BootError(f"{self._slot.name}: {what}", console=self._qemu.console.tail())
            self._loss.lose(error)

    def _on_session_end(self, session: Session, reason: str) -> None:
        if self.session is session:
            self._on_lost(reason)

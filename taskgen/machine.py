"""One machine's life: tap, QEMU, lease, session; then run after run; then nothing is left of it.

Or it is let go: its QEMU runs on, and the engine that comes next adopts it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from taskgen.boot_notes import BootNotes
from taskgen.errors import MachineDiedError, MachineError
from taskgen.host.console_hub import ConsoleHub
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.qemu import Qemu
from taskgen.host.records import MachineRecord
from taskgen.host.waiting import finish
from taskgen.interfaces import Emit, FailureClass, Outcome, Run
from taskgen.lifecycle import Lifecycle, MachineState
from taskgen.load import Load
from taskgen.machine_body import MachineBody
from taskgen.machine_cpus import MachineCpus
from taskgen.machine_info import MachineInfo
from taskgen.machine_kind import MachineKind
from taskgen.session import Session
from taskgen.session_manager import Boot, Rules, SessionManager
from taskgen.slots import Slot

log = logging.getLogger(__name__)

#: States in which a machine can be left running for the next engine.
_KEPT = frozenset({MachineState.BOOTING, MachineState.ADOPTING, MachineState.READY})


class Machine:
    """The machine of one slot, from its launch to its end. It never comes back: make another.

    :param kind: what it is.
    :param network: where its tap, lease and connection come from.
    :param directory: where its files and its record lie.
    :param troubles: what was last wrong with a machine, by slot: looked at, and kept.
    :param load: what all machines of the fleet ask of the host; ``None``: it is the only one, and
        nobody knows what the host has.
    """

    def __init__(
        self,
        slot: Slot,
        kind: MachineKind,
        network: FleetNetwork,
        directory: FleetDirectory,
        troubles: dict[int, Mapping[str, Any]] | None = None,
        *,
        load: Load | None = None,
    ) -> None:
        self.slot = slot
        self.kind = kind
        self.ready_s: float | None = None  #: seconds from the launch to the answer
        self._network = network
        self._directory = directory
        self._troubles = {} if troubles is None else troubles
        self._cpus = MachineCpus(slot.name, slot.number, load or Load(kind.demand))
        self._body = MachineBody(
            *(slot, kind, network, directory),
            cpus=self._cpus,
            troubles=self._troubles,
            on_lost=self._fail,
        )
        self._life = Lifecycle(slot.name)
        self._manager: SessionManager | None = None
        self._run: str | None = None
        self._runs = 0
        self._reason = ""
        self._trouble = ""  # what went wrong while it had nothing to do

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
        assert self._body.qemu is not None, f"{self.name} is {self.state}"
        return self._body.qemu

    @property
    def console_hub(self) -> ConsoleHub:
        """Its serial line; only while there is a QEMU."""
        return self.qemu.console_hub

    @property
    def info(self) -> MachineInfo:
        """What there is to be told of it."""
        lease = self._network.leases.current(self.slot.mac) if self._manager else None
        qemu, launched = self._body.qemu, self._body.launched
        record = qemu.record if qemu else None
        return MachineInfo(
            name=self.name,
            slot=self.slot.number,
            state=self.state,
            profile=self.profile,
            accelerator=self.kind.accelerator,
            mac=self.slot.mac,
            tap=self.slot.tap,
            address=str(lease.address) if lease else None,
            pid=qemu.pid if qemu else None,
            uuid=record.uuid if record else None,
            launched_at=record.created if record else None,
            ready_s=self.ready_s,
            run=self._run,
            runs=self._runs,
            adopted=qemu is not None and qemu.process.adopted,
            reason=self._reason,
            trouble=self._troubles.get(self.slot.number),
            saved_at=launched.saved_at if launched else None,
            pinned_cpus=self._cpus.pinned,
        )

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` whenever :attr:`info` has changed; it must not block."""
        self._life.on_change(callback)

    async def start(self) -> None:
        """Launch it, and wait until its guest answers ``AVAILABLE``.

        :raises MachineError: if QEMU does not start, or ends, or its guest does not get ready.
        :raises HostError: if the host lacks something.
        """
        self._begin(MachineState.LAUNCHING)
        session = await self._body.launch(lambda: self._life.to(MachineState.BOOTING))
        self.ready_s = time.monotonic() - self.qemu.launched_at
        # Before its first run, too, the guest is to be as it will be before the others.
        self._ready(session, Boot(runs=0 if self._body.as_saved else None))
        log.info("%s: ready after %.1f s", self.name, self.ready_s)

    async def adopt(self, record: MachineRecord) -> None:
        """Take over the machine of this slot from an engine that is gone.

        What its guest was doing is cleared. If it cannot be taken over, it is ended, and nothing
        is left of it.

        :raises MachineError: if it has ended, is not what :meth:`start` would launch now, or its
            guest does not answer.
        """
        self._begin(MachineState.ADOPTING)
        session = await self._body.adopt(record)
        self._ready(session, self._notes.read())
        log.info("%s: adopted, pid %d", self.name, self.qemu.pid)

    async def execute(self, run: Run, emit: Emit) -> Outcome:
        """Carry out one run. All that can fail becomes an outcome; cancellation passes."""
        assert self._manager is not None, f"{self.name} is {self.state}"
        if self.state is MachineState.FAILED:  # just now, when the run was on its way
            lost = FailureClass.INFRASTRUCTURE
            return Outcome(target=self.name, failure=lost, reason=self._reason)
        self._run = run.id
        self._cpus.place()
        self._life.to(MachineState.RUNNING)
        try:
            outcome, sound = await self._carry_out(run, emit)
        except asyncio.CancelledError:
            self._run_is_over(sound=self._manager.session.usable)
            raise
        self._run_is_over(sound=sound, reason=outcome.reason)
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

    async def _carry_out(self, run: Run, emit: Emit) -> tuple[Outcome, bool]:
        """The outcome of a run, and whether the machine can take another one."""
        assert self._manager is not None, "there is a session"
        if self._body.guest is not None:
            self._body.guest.begin_run()
        try:
            outcome = await self._body.unless_lost(self._manager.execute(run, emit))
        except MachineError as error:
            died = isinstance(error, MachineDiedError)
            failure = FailureClass.MACHINE if died else FailureClass.INFRASTRUCTURE
            outcome = self._manager.broken_off(run, failure, error.message)
        if self._manager.refused:
            return outcome, True
        guest = self._body.guest
        if guest is None or guest.session is None:
            return outcome, False  # no other guest has come in the place of the last one
        return await guest.judge(outcome, stalled=self._manager.boot.stalled)

    def tap_gone(self) -> None:
        """Its tap is gone: unless its QEMU has just ended, it is of no use any more."""
        self._body.tap_gone()

    async def stop(self) -> None:
        """End it and release all that it holds, in whatever state it is."""
        if self.state is MachineState.NEW:
            self._life.to(MachineState.STOPPED)
            return
        if self.state is MachineState.READY and not self.usable:  # nobody was told of that yet
            self._trouble = f"{self.name}: its connection has ended"
        if self._trouble and self._body.guest is not None:
            self._reason = await finish(self._body.guest.of_idle(self._trouble))
        self._life.to(MachineState.STOPPING)
        await finish(self._end())
        self._life.to(MachineState.STOPPED)

    async def release(self) -> None:
        """Let go of it and leave it running for the next engine; stop it if it is of no use."""
        if self._body.qemu is not None and self.state in _KEPT:
            self._body.qemu.left_running = True
        await self.stop()

    @property
    def _notes(self) -> BootNotes:
        return BootNotes(self._directory.machine(self.name), self.qemu.record.uuid)

    def _begin(self, state: MachineState) -> None:
        self._life.to(state)
        self._cpus.come()

    async def _end(self) -> None:
        try:
            await self._body.end()
        finally:
            self._cpus.go()

    def _note(self, boot: Boot) -> None:
        self._notes.write(boot)

    def _ready(self, session: Session, boot: Boot) -> None:
        self._note(boot)
        self._manager = SessionManager(
            session,
            boot,
            Rules(reset=self.kind.reset, after_stall=True),
            binaries=self.kind.binaries,
            optimize=self.kind.profile.optimize,
            restart=self._body.restart,
            lost_class=FailureClass.MACHINE,
            note=self._note,
            measure=self._cpus.measure,
            origin=lambda: self._body.origin,
        )
        self._life.to(MachineState.READY)

    def _run_is_over(self, *, sound: bool, reason: str = "") -> None:
        self._run = None
        self._runs += 1
        if sound and not self._body.lost:
            self._life.to(MachineState.READY)
        else:
            self._reason = reason
            self._life.to(MachineState.FAILED)

    def _fail(self, reason: str) -> None:
        """It can take no more runs; a run that it carries out tells so itself."""
        if self.state is MachineState.READY:
            self._reason = self._trouble = reason
            self._life.to(MachineState.FAILED)

"""A machine's QEMU and the guest in it: launched or adopted, started anew, ended.

A machine may have several, one after the other: see :meth:`MachineBody.restart`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from taskgen.errors import HostError, MachineError
from taskgen.host.console_hub import ConsoleHub
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.qemu import Qemu
from taskgen.host.records import MachineRecord
from taskgen.host.waiting import finish
from taskgen.machine_cpus import MachineCpus
from taskgen.machine_guest import Guest
from taskgen.machine_kind import MachineKind
from taskgen.machine_launch import Launched, Launcher
from taskgen.machine_loss import Loss
from taskgen.session import Session
from taskgen.slots import Slot

T = TypeVar("T")


class MachineBody:
    """For the machine of one slot; end it by :meth:`end`.

    :param kind: what it is.
    :param network: where its tap comes from.
    :param directory: where its files and records lie.
    :param cpus: told of each QEMU's vCPUs.
    :param troubles: where the last diagnosis of each slot is kept.
    :param on_lost: called with what has happened to it; must not block.
    :ivar launched: what there is, or was last; ``None``: there was nothing yet.
    :ivar guest: the one that there is now.
    """

    def __init__(
        self,
        slot: Slot,
        kind: MachineKind,
        network: FleetNetwork,
        directory: FleetDirectory,
        *,
        cpus: MachineCpus,
        troubles: dict[int, Mapping[str, Any]],
        on_lost: Callable[[str], object],
    ) -> None:
        self.launched: Launched | None = None
        self.guest: Guest | None = None
        self._slot = slot
        self._kind = kind
        self._network = network
        self._launcher = Launcher(slot, kind, network, directory)
        self._cpus = cpus
        self._troubles = troubles
        self._on_lost = on_lost
        self._loss: Loss | None = None

    @property
    def qemu(self) -> Qemu | None:
        """The last one; ``None``: there was none yet."""
        return self.launched.qemu if self.launched else None

    @property
    def lost(self) -> bool:
        """Whether its QEMU has ended, or cannot be reached any more."""
        return self._loss is not None and self._loss.happened

    @property
    def as_saved(self) -> bool:
        """Whether the guest is just as it was saved, or no state of it is."""
        return self.guest is not None and self.guest.as_saved

    @property
    def origin(self) -> Mapping[str, Any]:
        """What the guest has started from, for a run's provenance."""
        return self.launched.origin if self.launched else {}

    async def launch(self, launched: Callable[[], object] = lambda: None) -> Session:
        """Launch it, and wait until its guest answers ``AVAILABLE``; a session with that.

        :param launched: called as soon as there is a QEMU.
        :raises MachineError: if QEMU does not start, or ends, or its guest does not get ready.
        :raises HostError: if the host lacks something.
        """
        try:
            self.launched = await self._launcher.launch(self._troubles)
        except OSError as error:  # a full disk, or the like: only this machine is lost by it
            raise HostError(f"{self._slot.name}: cannot be launched: {error}") from error
        launched()
        guest, loss = self._watch(self.launched)
        try:
            session = await loss.unless(self._begin(self.launched.qemu, guest.start))
        except MachineError as error:
            await self._launcher.proved(self.launched, error)
            raise await guest.of_boot(error) from error
        await self._launcher.proved(self.launched)
        return session

    async def adopt(self, record: MachineRecord) -> Session:
        """Take over the one that an engine before us launched; a session with its guest.

        :raises MachineError: if it has ended, is not what :meth:`launch` would give, or its guest
            does not answer.
        """
        self.launched = await self._launcher.adopt(record)
        await self._launcher.check(self.launched)
        guest, loss = self._watch(self.launched)
        return await loss.unless(self._begin(self.launched.qemu, guest.adopt))

    async def restart(self, session: Session) -> Session:
        """Have the guest start anew, from a saved state if there is one; a session with it.

        Where there is a template, or a QEMU that runs cannot go back as a whole, another one takes
        its place: nearly as quick, and the memory of a template stays shared.

        :param session: the one with it; closed, whatever happens.
        :raises MachineError: if that cannot be, or the guest does not get ready.
        :raises HostError: if the host lacks something.
        """
        assert self.guest is not None, "there is a session"
        if not self._another_is_better:
            session = await self.guest.restart(session)
            if self.as_saved:
                return session
        session = await self._replace()
        if not self.as_saved:  # it had to boot after all, and was saved anew
            session = await self._replace()
        return session

    async def unless_lost(self, work: Coroutine[Any, Any, T]) -> T:
        """Await ``work``, in which it is needed; it may be restarted meanwhile.

        :raises MachineDiedError: if its QEMU ends by itself.
        :raises MachineError: if it is lost in another way.
        """
        assert self._loss is not None, "there was a QEMU"
        return await self._loss.unless(work)

    def tap_gone(self) -> None:
        """Its tap is gone: unless its QEMU has just ended, it is of no use any more."""
        if self._loss is not None and self.guest is not None:
            self._loss.tap_gone()

    async def end(self) -> None:
        """End it, or let go of its QEMU if that is to be left running."""
        try:
            await self._end_qemu()
        finally:
            self._launcher.close()

    async def _end_qemu(self) -> None:
        self._cpus.close()
        guest, self.guest = self.guest, None
        if guest is not None:
            await guest.close()
        await self._launcher.end()

    @property
    def _another_is_better(self) -> bool:
        assert self.launched is not None, "there is a session"
        templates, saved = self._kind.templates, self.launched.saved
        if templates is not None and templates.exist:
            return True
        if self.launched.qemu.record.template:  # reset, it would wait to be told who it is
            return True
        return bool(saved and saved.snapshot) and not self._kind.goes_back_in_place

    async def _replace(self) -> Session:
        assert self.launched is not None, "there is a session"
        console = self.launched.qemu.console_hub
        console.expect_next()
        try:
            await finish(self._end_qemu())
            return await self.launch(lambda: console.tell_next(self._console_hub))
        finally:
            console.tell_next(None)  # unless there is one

    @property
    def _console_hub(self) -> ConsoleHub | None:
        return self.launched.qemu.console_hub if self.launched else None

    def _watch(self, launched: Launched) -> tuple[Guest, Loss]:
        if self._loss is None:
            name, tap = self._slot.name, self._slot.tap
            self._loss = Loss(name, tap, lambda error: self._on_lost(error.message))
        self.guest = Guest(
            self._slot,
            self._kind,
            self._network,
            launched,
            troubles=self._troubles,
            loss=self._loss,
            on_lost=self._on_lost,
        )
        return self.guest, self._loss

    async def _begin(self, qemu: Qemu, get_ready: Callable[[], Awaitable[Session]]) -> Session:
        await self._cpus.find(qemu)
        return await get_ready()

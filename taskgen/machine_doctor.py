"""Says what is wrong with one machine: examines it, and keeps what will be gone with it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from taskgen.diagnosis import ConsoleFault, Doing, Evidence, Verdict, diagnose, report
from taskgen.errors import BootError, LaunchError, MachineDiedError, MachineError
from taskgen.examination import Patient, examine
from taskgen.host.console_faults import ConsoleFaults
from taskgen.host.fleet_network import FleetNetwork
from taskgen.host.guest_reset import GuestReset
from taskgen.host.memory_dumps import dump_memory
from taskgen.host.qemu import Qemu
from taskgen.interfaces import FailureClass, Outcome
from taskgen.profiles import Profile
from taskgen.session import Session
from taskgen.slots import Slot

log = logging.getLogger(__name__)

#: Verdicts that say no more than what was noticed: its words and its class stay.
_NO_NEWS = frozenset({"serves", "unknown"})


@dataclass(frozen=True)
class Dumps:
    """Where dumps of guests' memory go.

    :ivar keep: so many, the newest; 0: none are made.
    """

    directory: Path
    keep: int = 0


def of_launch(error: LaunchError, name: str) -> tuple[LaunchError, dict[str, Any]]:
    """What is wrong with a QEMU that did not start: the error to be raised, and what is kept.

    :param name: the machine's.
    """
    words = error.message.removeprefix(f"{name}: QEMU did not start: ")
    verdict = diagnose(Evidence(doing=Doing.START, refused=words))
    told = LaunchError(f"{name}: {verdict.text}", hint=error.hint or verdict.cause)
    return told, report(verdict, Doing.START, at=time.time())


class MachineDoctor:
    """For one machine, from its QEMU's start to :meth:`close`.

    :param troubles: where the last diagnosis of each slot is kept.
    :param on_fatal: called with a line of the console after which the guest does not go on, and
        with its meaning; must not block.
    :param adopted: what the console has told so far belongs to the past.
    :ivar last: the last diagnosis; empty: there is none.
    """

    def __init__(
        self,
        slot: Slot,
        profile: Profile,
        network: FleetNetwork,
        qemu: Qemu,
        resets: GuestReset,
        *,
        troubles: dict[int, Mapping[str, Any]],
        dumps: Dumps | None,
        on_fatal: Callable[[ConsoleFault], object],
        adopted: bool = False,
    ) -> None:
        self.last: Mapping[str, Any] = {}
        self._slot = slot
        self._network = network
        self._qemu = qemu
        self._resets = resets
        self._dumps = dumps
        self._troubles = troubles
        self._faults = ConsoleFaults(
            qemu.console, profile.console_faults, on_fatal, past=not adopted
        )

    def begin_run(self) -> None:
        """What the console has told so far has nothing to do with the run that begins."""
        self._faults.forget()

    async def of_boot(self, error: MachineError, waited_s: float) -> MachineError:
        """What is wrong with a machine that did not get ready: the error to be raised.

        :param error: what was noticed.
        :param waited_s: since its launch.
        """
        known = Evidence(doing=Doing.START, trouble=error.message, waited_s=waited_s)
        verdict = await self._judge(None, known)
        if verdict.key == "dhcp-dead":
            self._network.dhcp.revive()  # no event tells that somebody stopped it
        if verdict.key in _NO_NEWS:
            return error
        kind = MachineDiedError if isinstance(error, MachineDiedError) else BootError
        return kind(
            f"{self._slot.name}: {verdict.text}",
            hint=verdict.cause or None,
            console=self._qemu.console.tail(),
        )

    async def of_run(
        self, outcome: Outcome, session: Session, *, restarted_s: float | None
    ) -> Outcome:
        """The outcome of a run that failed by no fault of its task-set, with why it did.

        :param restarted_s: seconds since the guest was restarted for the run, if it did not get
            ready after that.
        """
        started = outcome.started_at > 0
        known = Evidence(
            doing=Doing.RUN if restarted_s is None else Doing.START,
            trouble=outcome.reason,
            waited_s=outcome.duration_s if started else restarted_s,
            started=started,
            spoke=bool(outcome.events),
        )
        verdict = await self._judge(session, known)
        outcome = replace(
            outcome,
            console=outcome.console or self._qemu.console.tail(),
            diagnosis=self.last,
        )
        if verdict.key in _NO_NEWS:
            return outcome
        reason = f"{self._slot.name}: {verdict.text}"
        return replace(outcome, failure=verdict.failure, reason=reason)

    async def of_stall(self, outcome: Outcome, session: Session) -> Outcome:
        """The outcome of a run that did not end by itself, on a guest that still answers.

        It is the task-set's own failure, and the machine is well, unless the network between us
        is to blame. Faults on the console are those of its tasks, then.
        """
        known = Evidence(
            doing=Doing.RUN,
            trouble=outcome.reason,
            waited_s=outcome.duration_s,
            started=True,
            spoke=bool(outcome.events),
        )
        verdict = await self._examine(session, known)
        outcome = replace(outcome, diagnosis=self.last)
        if verdict.failure is FailureClass.INFRASTRUCTURE:
            self._troubles[self._slot.number] = self.last
            reason = f"{self._slot.name}: {verdict.text}"
            return replace(outcome, failure=verdict.failure, reason=reason)
        if verdict.key in _NO_NEWS:
            return outcome
        return replace(outcome, reason=f"{outcome.reason}; {verdict.text}")

    async def of_idle(self, trouble: str, session: Session | None) -> str:
        """What is wrong with a machine that had nothing to do, in a line.

        :param trouble: what was noticed.
        """
        verdict = await self._judge(session, Evidence(doing=Doing.IDLE, trouble=trouble))
        text = trouble if verdict.key in _NO_NEWS else f"{self._slot.name}: {verdict}"
        log.warning("%s", text)
        return text

    def close(self) -> None:
        """Watch its console no more."""
        self._faults.close()

    async def _judge(self, session: Session | None, known: Evidence) -> Verdict:
        """The verdict on a machine that is of no use any more; its slot remembers it."""
        verdict = await self._examine(session, known)
        self._troubles[self._slot.number] = self.last
        return verdict

    async def _examine(self, session: Session | None, known: Evidence) -> Verdict:
        patient = Patient(
            slot=self._slot,
            network=self._network,
            qemu=self._qemu,
            resets=self._resets,
            faults=self._faults,
            session=session,
        )
        began = time.time()
        seen = await examine(patient, known)
        verdict = diagnose(seen)
        registers, dump = "", ""
        if _is_to_be_kept(seen, verdict):
            registers, dump = await self._registers(), await self._dump()
        found = report(verdict, known.doing, at=began, registers=registers, memory_dump=dump)
        self.last = found
        log.debug("%s: %s: %s", self._slot.name, verdict.key, "; ".join(verdict.evidence))
        return verdict

    async def _registers(self) -> str:
        try:
            return await self._qemu.qmp.registers()
        except MachineError as error:
            log.debug("no registers: %s", error)
            return ""

    async def _dump(self) -> str:
        if self._dumps is None or self._dumps.keep < 1:
            return ""
        try:
            path = await dump_memory(self._qemu.qmp, self._dumps.directory, keep=self._dumps.keep)
        except (MachineError, OSError) as error:
            log.warning("%s: its memory could not be dumped: %s", self._slot.name, error)
            return ""
        log.info("%s: its memory is in %s", self._slot.name, path)
        return str(path)


def _is_to_be_kept(seen: Evidence, verdict: Verdict) -> bool:
    """Whether the state of the guest's CPUs and memory tells more than the verdict does."""
    answers = seen.qemu_exit is None and seen.status is not None and not seen.qmp_silent
    hangs = seen.echo is not True
    return answers and hangs and verdict.failure in (FailureClass.GUEST, FailureClass.MACHINE)

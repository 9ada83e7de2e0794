"""What machines and boards have in common: run after run over one session, each from a known start.

A guest keeps uploaded binaries until it boots anew, and ignores another one of the same name. So
this keeps account, for each boot, of what the guest has had, and has it restarted before a run
would silently get the wrong binary, or start from what a run that stalled has left.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from taskgen.binaries import Binaries, Binary
from taskgen.errors import BinaryError, TaskgenError, UploadMissingError
from taskgen.exchange import Exchange, Measure
from taskgen.interfaces import Emit, FailureClass, Outcome, Run
from taskgen.protocol import Binary as Upload
from taskgen.run_settings import Reset
from taskgen.session import Session

log = logging.getLogger(__name__)

#: Why a guest starts anew where that is the policy: with millions of runs, nothing for the log.
EACH_RUN = "a fresh start for each run"

#: Has the guest start anew, and returns a session with it once it answers ``AVAILABLE``. The old
#: session is closed, whatever happens. Raises ``TaskgenError`` if the guest does not come back.
Restart = Callable[[Session], Awaitable[Session]]


@dataclass(slots=True)
class Boot:
    """What a guest has had since it booted.

    :ivar unknown: it may have had more than we know: others have used it, or we have, before.
    :ivar uploaded: SHA-256 of each binary that we sent, by name.
    :ivar unsure: names of those that were on their way when who sent them died.
    :ivar runs: those that were carried out; ``None``: that is not known.
    :ivar stalled: the last one did not end by itself.
    """

    unknown: bool = False
    uploaded: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    runs: int | None = 0
    stalled: bool = False

    def missing(self, wanted: Iterable[Binary]) -> list[Binary]:
        """Those that were not sent yet."""
        return [binary for binary in wanted if binary.name not in self.uploaded]

    def changed(self, wanted: Iterable[Binary]) -> list[Binary]:
        """Those of which another version was sent."""
        return [each for each in wanted if self.uploaded.get(each.name, each.sha256) != each.sha256]

    def doubtful(self, wanted: Iterable[Binary]) -> list[Binary]:
        """Those of which it may have the whole, a part, or nothing."""
        return [binary for binary in wanted if binary.name in self.unsure]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a guest has to start anew before a run.

    :ivar reset: what is done between two runs.
    :ivar trust: send binaries to a guest that may have others of the same names.
    :ivar after_stall: a run that did not end by itself leaves nothing that one can build on.
    """

    reset: Reset = Reset.CLEAR
    trust: bool = False
    after_stall: bool = False

    def why_restart(self, boot: Boot, wanted: Iterable[Binary]) -> str:
        """Why the guest has to start anew before a run with these binaries; empty: it need not.

        This is the one place where a reset policy is looked at; ``clear`` needs nothing here,
        because every run begins with ``CLEAR``.
        """
        wanted = list(wanted)
        if changed := boot.changed(wanted):
            return f"{', '.join(each.name for each in changed)} changed since it was uploaded"
        if boot.stalled and self.after_stall:
            return "the last run did not end by itself"
        if doubtful := boot.doubtful(wanted):
            return f"whether it has all of {', '.join(e.name for e in doubtful)} is not known"
        if boot.unknown and boot.missing(wanted) and not self.trust:
            return "which binaries it has had is not known"
        if self.reset is not Reset.CLEAR and (boot.runs != 0 or boot.unknown):
            return EACH_RUN
        return ""


class SessionManager:
    """Carries out runs on one target.

    :param session: with the target as it is now; closed by :meth:`close`.
    :param boot: what its guest has had.
    :param binaries: where task binaries are found.
    :param optimize: whether the target knows ``OPTIMIZE``; data for admission control never go out
        to others, which would take them for commands.
    :param restart: starts the guest anew.
    :param lost_class: the class of a failure to do so.
    :param note: told what the guest has had before that changes; must be quick.
    :param provenance: of the target; goes into each outcome.
    :param measure: see :class:`~taskgen.exchange.Exchange`.
    :param origin: tells, for the provenance, what the guest has started from.
    :ivar refused: the last run was not tried, for want of what we have to have: the target is as
        it was.
    """

    def __init__(
        self,
        session: Session,
        boot: Boot,
        rules: Rules,
        *,
        binaries: Binaries,
        optimize: bool,
        restart: Restart,
        lost_class: FailureClass,
        note: Callable[[Boot], object] = lambda boot: None,
        provenance: Mapping[str, Any] | None = None,
        measure: Measure | None = None,
        origin: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.session = session
        self.boot = boot
        self.rules = rules
        self._binaries = binaries
        self._optimize = optimize
        self._restart = restart
        self._lost_class = lost_class
        self._note = note
        self._provenance = provenance or {}
        self._measure = measure
        self._origin = origin
        self.refused = False
        self._last: tuple[str, Exchange] | None = None  # id of a run that was not through

    @property
    def name(self) -> str:
        """The target's."""
        return self.session.target

    async def execute(self, run: Run, emit: Emit) -> Outcome:
        """Carry out one run. Failures are outcomes; cancellation passes.

        After a failure that is not the task-set's own the session is of no use any more, unless
        the run was :attr:`refused`.
        """
        self.refused = False
        try:
            wanted = self._binaries.of(run.variant.tasks, run.binaries)
        except UploadMissingError as error:  # ours to keep: no fault of set or target
            self.refused = True
            return self._failed(FailureClass.INFRASTRUCTURE, error)
        except BinaryError as error:
            return self._failed(FailureClass.TASK, error)
        if why := self.rules.why_restart(self.boot, wanted):
            try:
                await self._start_anew(why)
            except TaskgenError as error:
                return self._failed(self._lost_class, error)
        return await self._exchange(run, wanted, emit)

    def broken_off(self, run: Run, failure: FailureClass, reason: str) -> Outcome:
        """The outcome of a run that something ended of which only the caller knows."""
        if self._last and self._last[0] == run.id:
            return self._last[1].outcome(failure, reason)
        return Outcome(
            target=self.name, failure=failure, reason=reason, provenance=self._provenance
        )

    async def close(self) -> None:
        """Close the session. Never raises."""
        await self.session.close()

    async def _start_anew(self, why: str) -> None:
        level = logging.DEBUG if why == EACH_RUN else logging.INFO
        log.log(level, "%s: starts anew: %s", self.name, why)
        self._note(Boot(unknown=True))
        self.session = await self._restart(self.session)
        self.boot = Boot()
        self._note(self.boot)

    def _failed(self, failure: FailureClass, error: TaskgenError) -> Outcome:
        return Outcome(
            target=self.name, failure=failure, reason=str(error), provenance=self._provenance
        )

    async def _exchange(self, run: Run, wanted: list[Binary], emit: Emit) -> Outcome:
        boot = self.boot
        missing = boot.missing(wanted)
        if missing and boot.unknown:
            names = ", ".join(binary.name for binary in missing)
            log.warning("%s: trusted to have no other version of %s", self.name, names)
        uploads = [Upload(binary.name, binary.content) for binary in missing]
        provenance = {
            **self._provenance,
            "binaries": {binary.name: binary.sha256 for binary in wanted},
            "binaries_trusted": boot.unknown,
            "runs_since_boot": None if boot.unknown else boot.runs,
            "reset": str(self.rules.reset),
            **self._origin(),
            "admission_control": run.settings.admission_control is not None and self._optimize,
        }
        run = self._without_what_it_cannot_read(run)
        exchange = Exchange(
            self.session, run, uploads, emit, provenance=provenance, measure=self._measure
        )
        self._last = run.id, exchange
        if missing:
            boot.unsure.update(binary.name for binary in missing)
            self._note(boot)
        try:
            outcome = await exchange.perform()
        finally:  # also of a run that is cancelled, because others will follow it
            self._account(exchange, missing)
        self._last = None  # while there is nothing to do, its events need not be kept
        return outcome

    def _account(self, exchange: Exchange, missing: list[Binary]) -> None:
        boot = self.boot
        if boot.runs is not None:
            boot.runs += 1
        news = exchange.stalled != boot.stalled
        boot.stalled = exchange.stalled
        if exchange.prepared and missing:
            boot.uploaded.update((binary.name, binary.sha256) for binary in missing)
            boot.unsure.difference_update(binary.name for binary in missing)
            news = True
        if news:
            self._note(boot)

    def _without_what_it_cannot_read(self, run: Run) -> Run:
        if self._optimize or run.settings.admission_control is None:
            return run
        return replace(run, settings=replace(run.settings, admission_control=None))

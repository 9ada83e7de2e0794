"""A board, or somebody else's machine, that was found at an address: a target for runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from taskgen.binaries import Binaries
from taskgen.discovery import Dial, Refusal, dial, probe
from taskgen.errors import ConnectionLostError, SessionTimeoutError
from taskgen.interfaces import Emit, FailureClass, Outcome, Run
from taskgen.profiles import Profile
from taskgen.run_settings import Reset
from taskgen.scan import HostState
from taskgen.session import Limits, Session
from taskgen.session_manager import Boot, Rules, SessionManager
from taskgen.settings import HostSettings

#: Seconds between two attempts to reach a board that restarts: the first, and the longest. Whoever
#: else waits for it must find no time to come, send another binary, and go again.
_PAUSES_S = (0.1, 0.5)


@dataclass(frozen=True, kw_only=True)
class BoardKind:
    """What the boards of one pool have in common.

    :ivar profile: what they are; decides which runs fit them.
    :ivar binaries: where the task binaries lie.
    :ivar settings: section ``[hosts]``.
    :ivar reset: what is done between two runs.
    :ivar dial: how a connection is made.
    """

    profile: Profile
    binaries: Binaries
    settings: HostSettings = field(default_factory=HostSettings)
    reset: Reset = Reset.CLEAR
    dial: Dial = dial

    @property
    def limits(self) -> Limits:
        return Limits(connect_s=self.settings.connect_s, answer_s=self.settings.answer_s)


class Board:
    """One host with which there is a session. Closed by :meth:`close`; then find it again.

    :param name: what the user calls it.
    :ivar results: runs that it has carried out without a failure of its own.
    :ivar lost: why it can take no more runs; empty while it can.
    """

    def __init__(self, name: str, address: IPv4Address, session: Session, kind: BoardKind) -> None:
        self.name = name
        self.address = address
        self.results = 0
        self.lost = ""
        self._kind = kind
        self._manager = SessionManager(
            session,
            Boot(unknown=True),
            Rules(reset=_reset_of(kind), trust=kind.settings.first_contact == "trust"),
            binaries=kind.binaries,
            optimize=kind.settings.optimize,
            restart=self._restart,
            lost_class=FailureClass.INFRASTRUCTURE,
            provenance={"profile": kind.profile.name, "host": name},
        )

    @classmethod
    async def find(cls, name: str, address: IPv4Address, kind: BoardKind) -> Board | Refusal:
        """Try an address; the board that answers there, or why there is none."""
        found = await probe(name, address, kind.settings.port, kind.limits, kind.dial)
        return found if isinstance(found, Refusal) else cls(name, address, found, kind)

    @property
    def profile(self) -> str:
        return self._kind.profile.name

    @property
    def usable(self) -> bool:
        if not self.lost and not self._manager.session.usable:
            self.lost = "the connection was lost while it had nothing to do"
        return not self.lost

    async def execute(self, run: Run, emit: Emit) -> Outcome:
        """Carry out one run. Failures are outcomes; cancellation passes."""
        outcome = await self._manager.execute(run, emit)
        if outcome.failure in (None, FailureClass.TASK) or self._manager.refused:
            self.results += 1
        else:
            self.lost = outcome.reason
        return outcome

    async def close(self) -> None:
        """Give the host free for others. Never raises."""
        await self._manager.close()

    async def _restart(self, session: Session) -> Session:
        limit_s = self._kind.settings.reboot_s
        deadline = asyncio.get_running_loop().time() + limit_s
        try:
            session.clear()  # else what runs could still tell something
            session.reboot()
            await session.dropped(limit_s)
        except SessionTimeoutError as error:
            error.hint = 'if it cannot restart: hosts.first_contact = "trust"'
            raise
        finally:
            await session.close()
        return await self._come_back(deadline)

    async def _come_back(self, deadline: float) -> Session:
        """Reach it again. We have to be the first, else we do not know what it has been sent."""
        reason = "no answer"
        kind, settings = self._kind, self._kind.settings
        pause_s, longest_s = _PAUSES_S
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    found = await probe(
                        self.name, self.address, settings.port, kind.limits, kind.dial
                    )
                    if isinstance(found, Session):
                        return found
                    reason = found.reason
                    if found.state is HostState.BUSY:
                        raise ConnectionLostError(
                            f"{self.name}: somebody else got it while it restarted: {reason}"
                        )
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, longest_s)
        except TimeoutError as error:
            raise SessionTimeoutError(
                f"{self.name}: not back within {settings.reboot_s:g} s of its restart: {reason}"
            ) from error


def _reset_of(kind: BoardKind) -> Reset:
    """What can be done to a board: nobody can save its state, but it can start anew."""
    return Reset.REBOOT if kind.reset is Reset.SNAPSHOT else kind.reset

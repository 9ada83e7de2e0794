"""Keeps as many hosts of an address space at work as there are runs for."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from taskgen.addresses import Addresses
from taskgen.board import Board, BoardKind
from taskgen.discovery import Refusal
from taskgen.errors import TaskgenError
from taskgen.host.waiting import finish
from taskgen.interfaces import RunQueue, Target
from taskgen.log_fields import log_fields
from taskgen.scan import HostRecord, HostState, ScanPlan
from taskgen.waiting import innermost

log = logging.getLogger(__name__)

#: Seconds for which nothing is tried after this host itself could not make a connection.
REST_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host, for those who look.

    :ivar name: what the user calls it.
    :ivar failures: tries in a row that led to nothing.
    :ivar reason: for people; empty where the state says all.
    :ivar next_try_s: seconds until it is tried again, at the earliest; ``None``: it is not waiting.
    """

    address: str
    name: str
    state: HostState
    failures: int
    reason: str
    next_try_s: float | None


@dataclass(slots=True)
class _Member:
    board: Board
    life: asyncio.Task[None] | None
    retire: asyncio.Event = field(default_factory=asyncio.Event)


class HostPool:
    """The hosts of an address space, as far as they answer.

    :param addresses: where to look.
    :param serve: gives runs to a target until it should go; the engine's.
    :param queue: says how many runs are left.
    :param kind: what the hosts are.
    :param standing: stay when there is nothing to do, until :meth:`drain`.
    :param clock: seconds; for tests.
    :param chance: numbers from 0 to 1, for the back-off; for tests.
    """

    def __init__(
        self,
        addresses: Addresses,
        serve: Callable[[Target, asyncio.Event], Awaitable[None]],
        queue: RunQueue,
        kind: BoardKind,
        *,
        standing: bool = False,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.addresses = addresses
        self.kind = kind
        self._serve = serve
        self._queue = queue
        self._standing = standing
        self._plan = ScanPlan(
            len(addresses), concurrency=kind.settings.concurrency, clock=clock, chance=chance
        )
        self._members: dict[int, _Member] = {}
        self._tries: dict[int, asyncio.Task[None]] = {}
        self._replan = asyncio.Event()
        self._left = asyncio.Event()  # set, and made anew, whenever a host is given back
        self._draining = False
        self._paused = False
        self._resting = False
        self._listeners: list[Callable[[HostStatus], object]] = []

    def status(self, *, every: bool = False) -> Iterator[HostStatus]:
        """The hosts, by address: those that have ever been there, or all."""
        return map(self._status, self._plan.records(every=every))

    def on_change(self, listener: Callable[[HostStatus], object]) -> None:
        """Call ``listener`` with each host that has ever been there and has another state; it must
        not block."""
        self._listeners.append(listener)

    def _status(self, record: HostRecord) -> HostStatus:
        address = self.addresses[record.index]
        return HostStatus(
            address=str(address),
            name=self.addresses.name(address),
            state=record.state,
            failures=record.failures,
            reason=record.reason,
            next_try_s=record.next_try_s,
        )

    def _tell(self, index: int) -> None:
        if self._listeners and (record := self._plan.record(index)) is not None:
            status = self._status(record)
            for listener in self._listeners:
                listener(status)

    def summary(self) -> dict[HostState, int]:
        """How many hosts are in which state; states without one are left out."""
        counts = {state: self._plan.count(state) for state in HostState}
        return {state: count for state, count in counts.items() if count}

    def drain(self) -> None:
        """Try no more hosts; those that are ours finish their run, and are given free."""
        self._draining = True
        self._replan.set()

    def pause(self) -> None:
        """Give all hosts free once their run is through, and try none until :meth:`resume`."""
        self._paused = True
        self._replan.set()

    def resume(self) -> None:
        """Try hosts again as there is work for them."""
        self._paused = False
        self._replan.set()

    def release(self) -> None:
        """Give all hosts free now, whatever they do: their runs go back to the queue."""
        for member in self._members.values():
            member.retire.set()
            if member.life:
                member.life.cancel()

    async def emptied(self) -> None:
        """Wait until no host is ours any more."""
        while self._members:
            await self._left.wait()

    async def run(self) -> None:
        """Keep hosts at work until there is nothing left to do and all are free again.

        Hosts that do not answer are no failure: it goes on trying them.

        :raises TaskgenError: if a task-set fails to give its next variant.
        """
        try:
            async with asyncio.TaskGroup() as lives:
                watch = lives.create_task(self._watch_queue(), name="hosts: queue")
                try:
                    while self._members or not self._finished:
                        self._replan.clear()
                        self._act(lives)
                        await self._news()
                finally:
                    watch.cancel()
                    for each in self._tries.values():
                        each.cancel()
        except* TaskgenError as group:
            raise innermost(group) from None

    @property
    def _backlog(self) -> int:
        return self._queue.backlog_for(self.kind.profile.name)

    @property
    def _finished(self) -> bool:
        return self._draining or not (self._standing or self._backlog)

    @property
    def _wanted(self) -> int:
        """Hosts that there is work for, beside those that are ours."""
        stopped = self._draining or self._paused or self._resting
        return 0 if stopped else max(0, self._backlog - self._plan.serving)

    async def _watch_queue(self) -> None:
        while True:
            await self._queue.changed()
            self._replan.set()

    async def _news(self) -> None:
        """Wait until there may be something to do."""
        wait_s = self._plan.wait_s(self._wanted)
        try:
            async with asyncio.timeout(wait_s):
                await self._replan.wait()
        except TimeoutError:
            pass  # a host is due

    def _act(self, lives: asyncio.TaskGroup) -> None:
        if self._draining or self._paused:
            for member in self._members.values():
                member.retire.set()
            for attempt in self._tries.values():
                attempt.cancel()
        while (index := self._plan.take(self._wanted)) is not None:
            attempt = lives.create_task(self._attend(index), name=f"host {self.addresses[index]}")
            self._tries[index] = attempt
            attempt.add_done_callback(partial(self._unless_begun, index))

    async def _attend(self, index: int) -> None:
        """Look whether there is a Taskloader at an address; if so, it is ours until it goes."""
        address = self.addresses[index]
        name = self.addresses.name(address)
        found: Board | Refusal | None = None
        try:
            found = await Board.find(name, address, self.kind)
        finally:
            del self._tries[index]
            self._replan.set()
            if found is None:
                self._plan.put_back(index)
        if isinstance(found, Refusal):
            self._refused(index, name, found)
        else:
            with log_fields(host=name):
                await self._live(index, found)

    def _unless_begun(self, index: int, attempt: asyncio.Task[None]) -> None:
        """Give back a host whose try was cancelled before it began."""
        if self._tries.get(index) is attempt:  # else it may be tried again by now
            del self._tries[index]
            self._plan.put_back(index)
            self._replan.set()

    async def _live(self, index: int, board: Board) -> None:
        """One host, from its answer until it is given back."""
        self._plan.found(index)
        self._tell(index)
        member = self._members[index] = _Member(board, asyncio.current_task())
        # It has answered, but by now there may be nothing for it to do.
        needed = not self._draining and not self._paused
        try:
            if needed and self._plan.serving <= self._backlog:
                log.info("%s: answers", board.name)
                await self._serve(board, member.retire)
        finally:
            await finish(board.close())
            del self._members[index]
            if board.lost:
                log.warning("%s: lost: %s", board.name, board.lost)
                self._plan.ended(index, HostState.LOST, board.lost, good=board.results > 0)
            else:
                self._plan.ended(index, HostState.FREE)
            self._tell(index)
            self._replan.set()
            self._left.set()
            self._left = asyncio.Event()

    def _refused(self, index: int, name: str, refusal: Refusal) -> None:
        if refusal.state is None:
            self._plan.put_back(index)
            if not self._resting:
                log.warning("%s: %s; no host is tried for %g s", name, refusal.reason, REST_S)
                self._resting = True
                asyncio.get_running_loop().call_later(REST_S, self._rested)
            return
        news = refusal.reason != self._plan.reason(index)
        self._plan.ended(index, refusal.state, refusal.reason)
        self._tell(index)
        if news and refusal.state not in (HostState.SILENT, HostState.REFUSED):
            log.info("%s: %s", name, refusal.reason)

    def _rested(self) -> None:
        self._resting = False
        self._replan.set()

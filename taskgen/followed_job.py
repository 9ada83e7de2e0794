"""One job of a daemon, as its handlers are told of it here.

What has ended comes from the daemon's disk, in the order in which it was kept: that is where
nothing is lost and nothing comes twice. The event stream says when to look there, and what begins.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from taskgen import remote_values, resources
from taskgen.events.dispatch import Dispatcher
from taskgen.events.model import Event
from taskgen.interfaces import Outcome, Run
from taskgen.queue.source import Source
from taskgen.resources import EventKind

#: The next page of a job's attempts behind a sequence number.
Fetch = Callable[[int], Awaitable[resources.Page[resources.Attempt]]]

#: Runs that are remembered as told, so that a start which comes late is not told after the end. The
#: daemon holds fewer events than that back.
REMEMBERED = 10_000


@dataclass(slots=True)
class _Open:
    """A run that has begun. Its events are kept as far as handlers want them."""

    run: Run
    events: list[Event] = field(default_factory=list)


class FollowedJob:
    """Belongs to one event loop.

    :param job: as the daemon tells it.
    :param source: its variants.
    :param fetch: asks the daemon's disk.
    :param told: waits until handlers have got what they were told, so that a long past does not
        crowd out the present.
    :ivar stop_reason: what handlers are told of runs that are stopped from now on; empty: what the
        daemon says.
    """

    def __init__(
        self,
        job: resources.Job,
        source: Source,
        fetch: Fetch,
        told: Callable[[], Awaitable[None]],
    ) -> None:
        self.id = job.id
        self.stop_reason = ""
        self._settings = remote_values.settings(job.session)
        self._profile, self._provenance = job.profile, job.provenance
        self._binaries = job.binaries
        self._source, self._fetch, self._handlers_told = source, fetch, told
        self._listeners: list[Dispatcher] = []
        self._cursor = 0  # fetched up to this sequence number
        self._fetched: deque[resources.Attempt] = deque()  # and not told yet
        self._last = 0  # sequence number of the last one that was told
        self._running: dict[str, _Open] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()  # runs, the last told one last
        self._failures: dict[int, list[Outcome]] = {}
        self._turn = asyncio.Lock()

    async def join(self, dispatcher: Dispatcher) -> None:
        """Tell a handler what the others were told, and from now on the same as them.

        One that is told already is not told again.
        """
        async with self._turn:
            if dispatcher in self._listeners:
                return
            past: dict[int, list[Outcome]] = {}
            cursor = 0
            while cursor < self._last:
                page = await self._fetch(cursor)
                for attempt in page.items:
                    if attempt.sequence <= self._last:
                        self._tell(attempt, [dispatcher], past)
                await self._handlers_told()
                if page.next is None or int(page.next) <= cursor:
                    break
                cursor = int(page.next)
            for running in self._running.values():
                dispatcher.on_start(running.run)
            self._listeners.append(dispatcher)

    async def follow(self, *events: resources.StreamEvent) -> None:
        """Something happened to its runs."""
        async with self._turn:
            for event in events:
                await self._follow(event.kind, event.data)

    async def catch_up(self) -> None:
        """Tell all that has ended by now."""
        async with self._turn:
            await self._catch_up()

    async def ended(self) -> None:
        """The job has ended: tell the rest, also of what was stopped unheard."""
        async with self._turn:
            await self._catch_up()
            for run_id in list(self._running):
                self._stopped(run_id, "cancelled")

    async def resync(self, state: Callable[[str], Awaitable[str]]) -> None:
        """Something of the stream was missed: tell what came of it.

        :param state: asks the daemon for the state of a run.
        """
        async with self._turn:
            await self._catch_up()
            lost = [run_id for run_id in self._running if await state(run_id) != "running"]
            if lost:
                await self._catch_up()
            for run_id in lost:
                self._stopped(run_id, "interrupted")

    async def _follow(self, kind: EventKind, data: Mapping[str, Any]) -> None:
        if kind is EventKind.RUN_STARTED:
            self._started(data)
        elif kind is EventKind.RUN_EVENT:
            self._event(data)
        elif kind is EventKind.RUN_STOPPED:
            self._stopped(data["run"], data["reason"])
        else:
            await self._tell_up_to(data["run"])

    async def _catch_up(self) -> None:
        more = True
        while more:
            more = await self._fetch_more()
            while self._fetched:
                self._tell_next()
            if more:
                await self._handlers_told()

    async def _tell_up_to(self, run_id: str) -> None:
        """Tell what ended, up to this run: all that the guests told of those was told before."""
        while run_id not in self._ended:
            if any(attempt.run == run_id for attempt in self._fetched):
                while self._tell_next() != run_id:
                    pass
                return
            before = self._cursor
            if not await self._fetch_more() and self._cursor == before:
                return  # the job was deleted meanwhile

    async def _fetch_more(self) -> bool:
        """Whether there was more than what came."""
        before = self._cursor
        page = await self._fetch(before)
        self._fetched.extend(page.items)
        ends = [before, *(attempt.sequence for attempt in page.items[-1:]), int(page.next or 0)]
        self._cursor = max(ends)
        return page.next is not None and int(page.next) > before

    def _tell_next(self) -> str:
        attempt = self._fetched.popleft()
        self._tell(attempt, self._listeners, self._failures)
        self._last = attempt.sequence
        self._running.pop(attempt.run, None)
        self._ended[attempt.run] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        return attempt.run

    def _tell(
        self,
        attempt: resources.Attempt,
        listeners: Sequence[Dispatcher],
        failures: dict[int, list[Outcome]],
    ) -> None:
        """Tell of an attempt.

        :param failures: of the variants that are still open, by position; changed.
        """
        outcome = remote_values.outcome(attempt)
        begun = self._running.get(attempt.run) if listeners is self._listeners else None
        if begun is None:
            begun = _Open(self._run(attempt.run, attempt.position, attempt.attempt))
            for listener in listeners:
                listener.on_start(begun.run)
        elif begun.events and not outcome.events:
            outcome = replace(outcome, events=tuple(begun.events))
        run = replace(begun.run, outcome=outcome)
        for listener in listeners:
            listener.on_finish(run)
        if outcome.failure is None:
            failures.pop(attempt.position, None)
            return
        outcomes = failures.setdefault(attempt.position, [])
        outcomes.append(outcome)
        if attempt.bad:
            del failures[attempt.position]
            for listener in listeners:
                listener.on_bad(run, outcomes)

    def _started(self, data: Mapping[str, Any]) -> None:
        run_id = data["run"]
        if run_id in self._ended:
            return
        if run_id in self._running:
            self._stopped(run_id, "interrupted")
        run = self._run(run_id, data["position"], data["attempt"])
        self._running[run_id] = _Open(run)
        for listener in self._listeners:
            listener.on_start(run)

    def _event(self, data: Mapping[str, Any]) -> None:
        running = self._running.get(data["run"])
        if running is None:
            return
        event = remote_values.event(resources.RunEvent.model_validate(data["event"]))
        running.events.append(event)
        for listener in self._listeners:
            listener.on_event(running.run, event)

    def _stopped(self, run_id: str, reason: str) -> None:
        running = self._running.pop(run_id, None)
        if running is not None:
            for listener in self._listeners:
                listener.on_stop(running.run, self.stop_reason or reason)

    def _run(self, run_id: str, position: int, attempt: int) -> Run:
        return Run(
            id=run_id,
            job_id=self.id,
            variant=self._source.at(position),
            attempt=attempt,
            settings=self._settings,
            profile=self._profile,
            provenance=self._provenance,
            binaries=self._binaries,
        )

"""What has just happened, for everybody who listens; nobody who listens can hold it up."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from types import TracebackType
from typing import Any, Self

from taskgen.resources import EventKind

#: What the ring holds at most: events, and bytes as far as they can be told without writing them.
RING_EVENTS = 4096
RING_BYTES = 4 * 2**20

#: What may wait for one subscriber. One that is slower than that is told that it missed something.
WAITING_EVENTS = 2048
WAITING_BYTES = 4 * 2**20

#: Seconds for which the ring goes on after the last subscriber has left: it may be back soon.
LINGER_S = 60.0

#: What an event weighs beside its texts.
_WEIGHT = 256

#: Kinds that are told of one run or one job.
_OF_JOBS = frozenset(kind for kind in EventKind if kind.startswith(("run.", "job")))

_ID = re.compile(r"(\d{1,19})\.([0-9a-f]{8})\.(\d{1,19})", re.ASCII)


class Notice:
    """One event. What it says is written down only once somebody wants to read it.

    :ivar job: the job that it is about; ``None``: it is about none.
    :ivar at: seconds since the epoch.
    """

    __slots__ = ("_json", "at", "data", "id", "job", "kind", "number", "weight")

    def __init__(
        self, number: int, id: str, kind: EventKind, at: float, data: Mapping[str, Any]
    ) -> None:
        self.number = number
        self.id = id
        self.kind = kind
        self.at = at
        self.data = data
        self.job: str | None = None
        if kind in _OF_JOBS:
            self.job = data["id" if kind in (EventKind.JOB, EventKind.JOB_GONE) else "job"]
        self.weight = _WEIGHT + sum(_weight(value) for value in data.values())
        self._json: str | None = None

    @property
    def json(self) -> str:
        """It as a :class:`taskgen.resources.StreamEvent`, in JSON, on one line."""
        if self._json is None:
            content = {"id": self.id, "kind": self.kind, "at": self.at, "data": self.data}
            self._json = json.dumps(content, separators=(",", ":"), allow_nan=False)
        return self._json


def _weight(value: object) -> int:
    """About as many bytes as a value takes in JSON."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return 16 + sum(len(str(key)) + _weight(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return 16 + sum(map(_weight, value))
    return 8


class Bulletin:
    """Keeps the last events, and hands them to subscribers. Belongs to one event loop.

    An id is ``<attempt sequence>.<epoch>.<number>``: attempts up to that sequence number had been
    kept when it was told, the epoch tells this process from an earlier one, and numbers grow.

    Single events of runs (:attr:`EventKind.RUN_EVENT`) are live only: whoever was away does not get
    them. While nobody listens, nothing is kept.

    :param sequence: the number of the last attempt that was kept.
    :param clock: seconds since the epoch.
    :param timer: seconds, for how long somebody has been away.
    """

    def __init__(
        self,
        *,
        sequence: Callable[[], int] = lambda: 0,
        ring_events: int = RING_EVENTS,
        ring_bytes: int = RING_BYTES,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.epoch = os.urandom(4).hex()
        self._sequence, self._clock, self._timer = sequence, clock, timer
        self._ring: deque[Notice] = deque()
        self._ring_events, self._ring_bytes = ring_events, ring_bytes
        self._bytes = 0
        self._number = 0  # of the last event
        self._gone = 0  # events up to this one are not in the ring any more
        self._subscribers: set[Subscription] = set()
        self._hearing_runs = 0  # subscribers that want single events of runs
        self._listened_until = float("-inf")
        self._closed = False

    @property
    def wanted(self) -> bool:
        """Whether anybody listens, or has listened lately. If not, costly news can be left out,
        after :meth:`skip`."""
        return bool(self._subscribers) or self._timer() < self._listened_until

    @property
    def run_events_wanted(self) -> bool:
        """Whether anybody wants single events of runs."""
        return self._hearing_runs > 0

    @property
    def subscribers(self) -> int:
        """How many listen."""
        return len(self._subscribers)

    @property
    def last_id(self) -> str:
        """The id of the last event."""
        return self._id(self._number)

    def publish(self, kind: EventKind, data: Mapping[str, Any]) -> None:
        """Tell all who listen; returns at once.

        :param data: as :class:`EventKind` says; not changed afterwards.
        """
        if not self.wanted:
            self.skip()
            return
        if kind is EventKind.RUN_EVENT:
            if not self._hearing_runs:
                return
        else:
            self._number += 1
        notice = Notice(self._number, self.last_id, kind, self._clock(), data)
        if kind is not EventKind.RUN_EVENT:
            self._keep(notice)
        for subscriber in self._subscribers:
            subscriber.offer(notice)

    def skip(self) -> None:
        """Something happened that nobody was told: who was away until now has missed it."""
        self._number += 1
        self._gone = self._number
        self._ring.clear()
        self._bytes = 0

    def subscribe(
        self,
        after_id: str | None = None,
        kinds: Collection[EventKind] | None = None,
        job: str | None = None,
        run_events: bool = False,
    ) -> Subscription:
        """Listen from now on. Iterate over the result, and close it, which ``async with`` does.

        :param after_id: begin behind this event. If that is not possible any more, the first event
            is :attr:`EventKind.RESYNC`.
        :param kinds: only these, and ``RESYNC``; ``None``: all.
        :param job: only what is told of this job, and ``RESYNC``; ``None``: everything.
        :param run_events: also single events of runs.
        """
        subscription = Subscription(self, kinds, job, run_events)
        if after_id is not None:
            number = self._number_of(after_id)
            if number is None:
                subscription.miss(self._resync())
            else:
                for notice in self._ring:
                    if notice.number > number:
                        subscription.offer(notice)
        if self._closed:
            subscription.close()
            return subscription
        self._subscribers.add(subscription)
        self._hearing_runs += subscription.run_events
        return subscription

    def close(self) -> None:
        """End all subscriptions, once they have been told what was published by now."""
        self._closed = True
        for subscriber in list(self._subscribers):
            subscriber.close()

    def left(self, subscription: Subscription) -> None:
        """A subscription was closed."""
        if subscription in self._subscribers:
            self._subscribers.remove(subscription)
            self._hearing_runs -= subscription.run_events
            if not self._subscribers:
                self._listened_until = self._timer() + LINGER_S

    def _resync(self) -> Notice:
        return Notice(self._number, self.last_id, EventKind.RESYNC, self._clock(), {})

    def _id(self, number: int) -> str:
        return f"{self._sequence()}.{self.epoch}.{number}"

    def _number_of(self, after_id: str) -> int | None:
        """The number of an event of ours, if all that came after it is still in the ring."""
        match = _ID.fullmatch(after_id)
        if match is None or match[2] != self.epoch:
            return None
        number = int(match[3])
        return number if self._gone <= number <= self._number else None

    def _keep(self, notice: Notice) -> None:
        self._ring.append(notice)
        self._bytes += notice.weight
        while len(self._ring) > self._ring_events or self._bytes > self._ring_bytes:
            gone = self._ring.popleft()
            self._bytes -= gone.weight
            self._gone = gone.number


class Subscription:
    """What waits for one subscriber. Made by :meth:`Bulletin.subscribe`.

    When more waits than there is room for, all of that is dropped for one ``RESYNC``.
    """

    def __init__(
        self,
        bulletin: Bulletin,
        kinds: Collection[EventKind] | None,
        job: str | None,
        run_events: bool,
    ) -> None:
        self.run_events = run_events and (kinds is None or EventKind.RUN_EVENT in kinds)
        self._bulletin = bulletin
        self._kinds = None if kinds is None else frozenset(kinds)
        self._job = job
        self._waiting: deque[Notice] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aiter__(self) -> AsyncIterator[Notice]:
        while batch := await self.batch():
            for notice in batch:
                yield notice

    async def batch(self) -> list[Notice]:
        """Wait for news; all that there are. Nothing: it was closed."""
        while not (self._waiting or self._closed):
            self._news.clear()
            await self._news.wait()
        batch = list(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return batch

    def offer(self, notice: Notice) -> None:
        """Have it wait here, if it is wanted."""
        kind = notice.kind
        if kind is EventKind.RUN_EVENT and not self.run_events:
            return
        if self._kinds is not None and kind not in self._kinds:
            return
        if self._job is not None and notice.job != self._job:
            return
        full = len(self._waiting) >= WAITING_EVENTS or self._bytes + notice.weight > WAITING_BYTES
        if full and self._waiting:
            self.miss(Notice(notice.number, notice.id, EventKind.RESYNC, notice.at, {}))
            return
        self._waiting.append(notice)
        self._bytes += notice.weight
        self._news.set()

    def miss(self, resync: Notice) -> None:
        """Drop what waits, and say so."""
        self._waiting.clear()
        self._waiting.append(resync)
        self._bytes = resync.weight
        self._news.set()

    def close(self) -> None:
        """Nothing more is told; what waits can still be read."""
        self._closed = True
        self._news.set()
        self._bulletin.left(self)

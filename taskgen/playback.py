"""Tells the events of a computed run, each in its time. For servers that stand in for a guest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace

from taskgen.events.model import EXITS, Event, EventType

#: Events that are told at once at most; as many fit into a frame with room to spare.
_EVENTS_AT_ONCE = 400


class Playback:
    """One run, from now on.

    :param events: in order; their times count from the beginning of the run.
    :param base_us: the guest's clock at the beginning.
    :param time_scale: seconds that a second of the run takes; 0: all at once.
    :param hold_starts: tell a ``START`` only together with the next exit.
    :param limit: tell only so many events, then call ``on_limit``.
    :param on_first: called before the first event with that event, on the guest's clock.
    :param on_events: called with the events that are due, on the guest's clock.
    :ivar now_us: the guest's clock, as far as it has been told.
    """

    def __init__(
        self,
        events: Iterator[Event],
        *,
        base_us: int,
        time_scale: float,
        hold_starts: bool,
        limit: int | None,
        on_first: Callable[[Event], None],
        on_events: Callable[[list[Event]], None],
        on_limit: Callable[[], None],
    ) -> None:
        self.now_us = base_us
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._events = events
        self._base_us = base_us
        self._s_per_us = time_scale / 1e6
        self._hold_starts = hold_starts
        self._left = limit
        self._on_events = on_events
        self._on_limit = on_limit
        self._held: list[Event] = []  # STARTs that wait for an exit
        self._running: dict[int, Event] = {}  # STARTs whose exit is not due yet
        self._timer: asyncio.Handle | None = None
        self._next = next(events, None)
        if self._next is not None:
            on_first(self._on_guest_clock(self._next))
            self._schedule()

    def stop(self) -> list[Event]:
        """End the run here.

        :returns: the exits of the activations that this kills, behind what was held back.
        """
        if self._timer is not None:
            self._timer.cancel()
        if self._s_per_us:
            elapsed_s = self._loop.time() - self._began
            self.now_us = self._base_us + int(elapsed_s / self._s_per_us)
        return self._held + [
            replace(
                start,
                type=EventType.EXIT_EXTERNAL.value,
                time_stamp_ms=self.now_us // 1000,
                time_us=self.now_us,
                cpu_us=self.now_us - start.at_us,
            )
            for start in self._running.values()
        ]

    def _schedule(self) -> None:
        assert self._next is not None
        if self._s_per_us:
            due = self._began + self._next.at_us * self._s_per_us
            self._timer = self._loop.call_at(due, self._tell)
        else:
            self._timer = self._loop.call_soon(self._tell)

    def _tell(self) -> None:
        batch = self._due()
        if self._left is not None:
            batch = batch[: self._left]
            self._left -= len(batch)
        told = self._hold_back(batch)
        if told:
            self._on_events(told)
        if self._left == 0:
            self._on_limit()
        elif self._next is not None:
            self._schedule()

    def _due(self) -> list[Event]:
        elapsed_s = self._loop.time() - self._began
        batch: list[Event] = []
        while self._next is not None and len(batch) < _EVENTS_AT_ONCE:
            # The first one is due, whatever the clock's resolution makes of it.
            if batch and self._next.at_us * self._s_per_us > elapsed_s:
                break
            event = self._on_guest_clock(self._next)
            self.now_us = event.at_us
            if event.type == EventType.START:
                self._running[event.task_id] = event
            elif event.type in EXITS:
                del self._running[event.task_id]
            batch.append(event)
            self._next = next(self._events, None)
        return batch

    def _hold_back(self, batch: list[Event]) -> list[Event]:
        if not self._hold_starts:
            return batch
        batch, self._held = self._held + batch, []
        while batch and batch[-1].type == EventType.START:
            self._held.insert(0, batch.pop())
        return batch

    def _on_guest_clock(self, event: Event) -> Event:
        at_us = event.at_us + self._base_us
        release_us = None if event.release_us is None else event.release_us + self._base_us
        return replace(event, time_stamp_ms=at_us // 1000, time_us=at_us, release_us=release_us)

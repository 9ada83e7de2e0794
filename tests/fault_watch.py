"""Listens to a daemon's event stream over all its lives, and knows when what was told."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from taskgen.client import AsyncClient
from taskgen.client.stream import Position
from taskgen.errors import DaemonUnreachableError
from taskgen.resources import EventKind, StreamEvent

#: Seconds between two tries to reach a daemon that is being started.
RETRY_S = 0.02


class Watch:
    """What a daemon tells, in a thread of its own while in the block.

    :ivar told: moments, by ``time.monotonic``, and events.
    """

    def __init__(self, socket) -> None:
        self.told: list[tuple[float, StreamEvent]] = []
        self._socket = socket
        self._news = threading.Condition()
        self._ended = False

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._listen())
        self._thread = threading.Thread(target=self._run, name="watch")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()
        self._loop.close()

    def wait(self, happened: Callable[[float, StreamEvent], bool], since: float, limit_s: float):
        """The moment of the first event from ``since`` on of which ``happened`` is true.

        :raises TimeoutError: if there is none within ``limit_s``.
        """
        looked = 0
        deadline = time.monotonic() + limit_s
        with self._news:
            while True:
                for moment, event in self.told[looked:]:
                    looked += 1
                    if moment >= since and happened(moment, event):
                        return moment
                assert not self._ended, "nobody listens any more"
                if not self._news.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"not within {limit_s} s")

    def of(self, kind: EventKind, since: float) -> list[StreamEvent]:
        """What was told since then of one kind."""
        with self._news:
            return [event for moment, event in self.told if moment >= since and event.kind is kind]

    def _run(self) -> None:
        try:
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._task)
        finally:
            with self._news:
                self._ended = True
                self._news.notify_all()

    async def _listen(self) -> None:
        # Not by the client's own way to come back: it waits longer each time that nobody is there.
        position = Position()
        async with AsyncClient(socket=self._socket) as client:
            while True:
                with suppress(DaemonUnreachableError):
                    async with client.listen(position) as events:
                        async for event in events:
                            self._tell(event)
                await asyncio.sleep(RETRY_S)

    def _tell(self, event: StreamEvent) -> None:
        with self._news:
            self.told.append((time.monotonic(), event))
            self._news.notify_all()

"""Carries what happens to a handler, on a thread of its own, so that no handler can delay a run."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

from taskgen.events.handler import EventHandler
from taskgen.events.model import Event
from taskgen.interfaces import Outcome, Run

log = logging.getLogger(__name__)

#: Calls that may wait for a handler; one more is missed, and counted.
BACKLOG = 10_000


class Dispatcher:
    """The bounded queue and the thread of one handler.

    It has the handler's hooks itself; each returns at once.

    :ivar missed: calls that the handler did not get because it was too slow.
    :ivar failed: calls that raised.
    """

    def __init__(self, handler: EventHandler, *, backlog: int = BACKLOG) -> None:
        self.handler = handler
        self.missed = 0
        self.failed = 0
        self._wants_events = type(handler).on_event is not EventHandler.on_event
        self._calls: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None]
        self._calls = queue.Queue(backlog)
        self._thread = threading.Thread(target=self._work, name=f"handler {self.name}")
        self._thread.start()

    @property
    def name(self) -> str:
        return type(self.handler).__name__

    def on_start(self, run: Run) -> None:
        self._put(self.handler.on_start, run)

    def on_event(self, run: Run, event: Event) -> None:
        if self._wants_events:
            self._put(self.handler.on_event, run, event)

    def on_finish(self, run: Run) -> None:
        self._put(self.handler.on_finish, run)

    def on_stop(self, run: Run, reason: str) -> None:
        self._put(self.handler.on_stop, run, reason)

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        self._put(self.handler.on_bad, run, attempts)

    def close(self) -> None:
        """Let the handler work off its queue, close it, and wait for that. Blocks."""
        self._calls.put(None)
        self._thread.join()
        if self.missed:
            log.warning("handler %s was too slow and missed %d calls", self.name, self.missed)

    def _put(self, hook: Callable[..., None], *arguments: Any) -> None:
        try:
            self._calls.put_nowait((hook, arguments))
        except queue.Full:
            if not self.missed:
                log.warning("handler %s is too slow: calls are being missed", self.name)
            self.missed += 1

    def _work(self) -> None:
        while call := self._calls.get():
            self._call(*call)
        self._call(self.handler.close, ())

    def _call(self, hook: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        # A handler is a user's code: whatever it raises is reported, and the runs go on.
        try:
            hook(*arguments)
        except Exception:
            self.failed += 1
            log.exception("handler %s failed in %s", self.name, hook.__name__)

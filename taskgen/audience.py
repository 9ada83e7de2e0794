"""Who is told of which run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from taskgen.events.dispatch import Dispatcher
from taskgen.events.handler import EventHandler
from taskgen.events.model import Event
from taskgen.interfaces import Outcome, Run


class Listener(Protocol):
    """Is told of runs like an :class:`EventHandler`, but in the engine's loop: it must neither
    block nor raise."""

    def on_start(self, run: Run) -> None: ...

    def on_event(self, run: Run, event: Event) -> None: ...

    def on_finish(self, run: Run) -> None: ...

    def on_stop(self, run: Run, reason: str) -> None: ...

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None: ...


class Audience:
    """The handlers of an engine: some hear of every run, others of one job's.

    A handler that is given several times has one queue and one thread.

    :param everywhere: told of all runs.
    """

    def __init__(self, everywhere: Iterable[EventHandler] = ()) -> None:
        self._dispatchers: dict[int, Dispatcher] = {}  # by identity of the handler
        self._of_job: dict[str, list[Dispatcher]] = {}
        self._everywhere = [self.dispatcher(handler) for handler in everywhere]
        self._listeners: list[Listener] = []

    @property
    def dispatchers(self) -> list[Dispatcher]:
        """All of them, for what they missed or failed at."""
        return list(self._dispatchers.values())

    def add(self, job_id: str, handler: EventHandler) -> Dispatcher:
        """Tell ``handler`` of the runs of a job, from now on; the result tells it."""
        dispatcher = self.dispatcher(handler)
        known = self._of_job.setdefault(job_id, [])
        if dispatcher not in known and dispatcher not in self._everywhere:
            known.append(dispatcher)
        return dispatcher

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` of all runs from now on, in the loop; nobody waits for it."""
        self._listeners.append(listener)

    def of(self, run: Run) -> list[Listener]:
        """Those who are told of ``run``."""
        return [*self._listeners, *self._everywhere, *self._of_job.get(run.job_id, ())]

    async def told(self, timeout_s: float = 30.0) -> None:
        """Wait until all have been told what has happened by now; one that is slow only so long."""
        await asyncio.gather(*(asyncio.to_thread(d.flush, timeout_s) for d in self.dispatchers))

    async def close(self) -> None:
        """Let all finish what they were told, and close them."""
        await asyncio.gather(
            *(asyncio.to_thread(dispatcher.close) for dispatcher in self.dispatchers)
        )

    def dispatcher(self, handler: EventHandler) -> Dispatcher:
        """What carries to a handler what it is told; it hears of no job by that alone."""
        if id(handler) not in self._dispatchers:
            self._dispatchers[id(handler)] = Dispatcher(handler)
        return self._dispatchers[id(handler)]

"""Carries what happens to a handler, on a thread of its own, so that no handler can delay a run."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from taskgen.events.handler import EventHandler
from taskgen.events.model import Event
from taskgen.interfaces import Outcome, Run

log = logging.getLogger(__name__)

#: What may wait for a handler, in events: a run that has ended counts as many as it had.
BACKLOG = 100_000

#: Seconds after which a hook that has not returned is reported, and no longer waited for.
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerReport:
    """How a handler keeps up.

    :ivar waiting: calls that wait for it.
    :ivar missed: calls that it did not get, by hook.
    :ivar failed: calls that raised.
    :ivar error: what it raised last, or why it was given up; empty if nothing is wrong.
    :ivar busy_s: seconds that its present call has lasted.
    :ivar abandoned: whether it was given up, because a hook did not return.
    """

    name: str
    waiting: int
    missed: dict[str, int]
    failed: int
    error: str
    busy_s: float
    abandoned: bool

    @property
    def lost(self) -> str:
        """What went wrong, for people; empty if nothing did."""
        parts = [f"missed {sum(self.missed.values())} calls"] if self.missed else []
        parts += [f"failed {self.failed} times"] if self.failed else []
        parts += ["was given up"] if self.abandoned else []
        return f"handler {self.name} {', '.join(parts)}: {self.error}" if parts else ""


@dataclass(frozen=True, slots=True)
class _Call:
    hook: str
    work: Callable[[], None]
    weight: int = 1
    done: Callable[[], None] | None = None


class Dispatcher:
    """The bounded queue and the thread of one handler.

    It has the handler's hooks itself; each returns at once, from whatever thread. Single events are
    missed first, when half of the room is taken; ``on_stop`` is never missed.

    :param backlog: room for what waits, in events.
    :param patience_s: how long a hook may take before it counts as hanging.
    :param delivered: called from the handler's thread after ``on_finish`` has returned without an
        error: from then on the handler has the run. What it raises is reported.
    """

    def __init__(
        self,
        handler: EventHandler,
        *,
        backlog: int = BACKLOG,
        patience_s: float = PATIENCE_S,
        delivered: Callable[[Run], None] | None = None,
    ) -> None:
        self.handler = handler
        self.failed = 0
        self._missed: Counter[str] = Counter()
        self._error = ""
        self._room, self._patience_s, self._delivered = backlog, patience_s, delivered
        self._wants_events = handler.wants_events
        self._calls: deque[_Call] = deque()
        self._weight = 0
        self._running: dict[str, Run] = {}
        self._change = threading.Condition()
        self._busy: tuple[str, float] | None = None
        self._told_hanging = self._closing = self._abandoned = self._ended = False
        # A daemon: a hook that never returns must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=f"handler {self.name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        return self.handler.name

    @property
    def missed(self) -> int:
        """Calls that the handler did not get."""
        return sum(self._missed.values())

    @property
    def report(self) -> HandlerReport:
        with self._change:
            busy = self._busy
            return HandlerReport(
                name=self.name,
                waiting=len(self._calls),
                missed=dict(self._missed),
                failed=self.failed,
                error=self._error,
                busy_s=time.monotonic() - busy[1] if busy else 0.0,
                abandoned=self._abandoned,
            )

    def on_start(self, run: Run) -> None:
        with self._change:
            self._running[run.id] = run
        self._put(_Call("on_start", lambda: self.handler.on_start(run)))

    def on_event(self, run: Run, event: Event) -> None:
        if self._wants_events:
            call = _Call("on_event", lambda: self.handler.on_event(run, event))
            self._put(call, room=self._room // 2)

    def on_finish(self, run: Run) -> None:
        with self._change:
            self._running.pop(run.id, None)
        delivered = self._delivered
        self._put(
            _Call(
                "on_finish",
                lambda: self.handler.on_finish(run),
                1 + (len(run.outcome.events) if run.outcome else 0),
                None if delivered is None else lambda: delivered(run),
            )
        )

    def on_stop(self, run: Run, reason: str) -> None:
        with self._change:
            self._running.pop(run.id, None)
        self._put(_Call("on_stop", lambda: self.handler.on_stop(run, reason)), room=None)

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        self._put(_Call("on_bad", lambda: self.handler.on_bad(run, attempts)))

    def stop_running(self, reason: str) -> None:
        """Report each run that was started and has not ended to ``on_stop``."""
        with self._change:
            running = list(self._running.values())
        for run in running:
            self.on_stop(run, reason)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until the handler has got all that it was to be told until now. Blocks.

        :param timeout_s: seconds in all; ``None``: as long as no single hook hangs.
        :returns: whether it has.
        """
        reached = threading.Event()
        self._put(_Call("flush", reached.set, 0), room=None)
        return self._wait(reached.is_set, timeout_s)

    def close(self, timeout_s: float | None = None) -> bool:
        """Tell ``on_stop`` of what still runs, let the handler work off its queue, and close it.

        Blocks. A handler that makes progress is waited for; one of whose hooks does not return
        within the patience is given up, and what it did not get counts as missed.

        :param timeout_s: seconds in all; ``None``: as long as no single hook hangs.
        :returns: whether the handler got everything and was closed.
        """
        self.stop_running("closed")
        with self._change:
            self._closing = True
            self._change.notify_all()
        ended = self._wait(lambda: self._ended, timeout_s)
        if ended:
            self._thread.join()
        else:
            self._abandon()
        if self.missed:
            log.warning("handler %s missed %d calls: %s", self.name, self.missed, self._error)
        return ended

    def _put(self, call: _Call, room: int | None = 0) -> None:
        """Queue a call.

        :param room: the weight that may wait; 0: the whole room, ``None``: without a bound.
        """
        limit = self._room if room == 0 else room
        with self._change:
            full = limit is not None and self._calls and self._weight + call.weight > limit
            if full or self._abandoned or self._ended:
                self._miss(call, "it is too slow" if full else "it was closed")
                return
            self._calls.append(call)
            self._weight += call.weight
            self._tell_hanging()
            self._change.notify_all()

    def _miss(self, call: _Call, why: str) -> None:
        if call.hook == "flush":
            return
        if not self._missed:
            log.warning("handler %s misses calls: %s", self.name, why)
            self._error = self._error or why
        self._missed[call.hook] += 1

    def _work(self) -> None:
        try:
            while call := self._next():
                self._carry_out(call)
                if call.hook == "close":
                    return
        finally:
            with self._change:
                self._ended = True
                self._change.notify_all()

    def _carry_out(self, call: _Call) -> None:
        try:
            call.work()
            if call.done:
                call.done()
        except BaseException as error:  # noqa: BLE001 - a user's code: even SystemExit is reported
            self._fail(call.hook, error)
        finally:
            with self._change:
                self._busy, self._told_hanging = None, False
                self._change.notify_all()

    def _next(self) -> _Call | None:
        """The next call, marked as begun; ``None`` if the handler was given up meanwhile."""
        with self._change:
            while not (self._calls or self._closing or self._abandoned):
                self._change.wait()
            if self._abandoned:
                return None
            if self._calls:
                call = self._calls.popleft()
                self._weight -= call.weight
            else:
                call = _Call("close", self.handler.close)
            self._busy = (call.hook, time.monotonic())
            return call

    def _fail(self, hook: str, error: BaseException) -> None:
        self.failed += 1
        self._error = f"{hook}: {type(error).__name__}: {error}"
        if self.failed == 1:
            log.error("handler %s failed in %s", self.name, hook, exc_info=error)
        elif str(self.failed).strip("0") == "1":  # 10, 100, 1000 …: a log is not a place to live
            log.error("handler %s failed %d times; now %s", self.name, self.failed, self._error)

    def _tell_hanging(self) -> None:
        if self._busy and not self._told_hanging:
            hook, since = self._busy
            if time.monotonic() - since > self._patience_s:
                self._told_hanging = True
                log.warning(
                    "handler %s has not returned from %s for %g s",
                    self.name,
                    hook,
                    self._patience_s,
                )

    def _wait(self, reached: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait until ``reached``, the time is up, or a hook hangs; whether it was reached."""
        last = None if timeout_s is None else time.monotonic() + timeout_s
        with self._change:
            while not reached():
                now = time.monotonic()
                began = now if self._busy is None else self._busy[1]
                left = began + self._patience_s - now
                left = left if last is None else min(left, last - now)
                if left <= 0 or self._ended:
                    return False
                self._change.wait(left)
        return True

    def _abandon(self) -> None:
        with self._change:
            self._abandoned = True
            hook = self._busy[0] if self._busy else "close"
            self._error = f"{hook} did not return in time"
            for call in self._calls:
                self._miss(call, self._error)
            self._calls.clear()
            self._change.notify_all()
        log.error("handler %s was given up: %s", self.name, self._error)

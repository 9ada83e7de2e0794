"""The run engine: gives each target one run after the other, and tells the handlers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from taskgen.audience import Audience
from taskgen.breaker import Breaker, Failed
from taskgen.collector import seldom, tidy
from taskgen.events.model import Event
from taskgen.host.waiting import finish
from taskgen.interfaces import Outcome, Run, RunQueue, Target
from taskgen.log_fields import log_fields
from taskgen.waiting import SharedWait, cut_short, first_of

log = logging.getLogger(__name__)

#: Outcomes of one target that may be on their way to the disk while it goes on.
UNSETTLED = 64

#: Seconds without any run after which it is tidied up.
TIDY_S = 1.0


@dataclass(slots=True)
class _Running:
    """A run that a target carries out.

    :ivar target: its name.
    :ivar worker: what serves the target.
    :ivar stopped: why the run is being stopped; empty if it is not.
    """

    run: Run
    target: str
    worker: asyncio.Task[object]
    stopped: str = ""


#: Outcomes on their way to the disk, in the order in which they were given away.
Settling = list[asyncio.Future[Sequence[Outcome]]]


async def _settled(settling: Settling, *, at_most: int) -> None:
    """Forget the outcomes that are on the disk, and raise what went wrong.

    :param at_most: wait until no more than so many are on their way.
    """
    while settling and (settling[0].done() or len(settling) > at_most):
        if not settling[0].done():
            await asyncio.wait([settling[0]])  # cancelling this does not cancel what is waited for
        settling.pop(0).result()


class Engine:
    """Feeds targets from a queue.

    :param queue: what is to be run, and where results are kept.
    :param audience: who is told of what.
    :param idle_s: a target that has had nothing to do for so long is let go; 0: at once.
    :param clock: seconds, for the rests of targets that fail.
    """

    def __init__(
        self,
        queue: RunQueue,
        audience: Audience | None = None,
        *,
        idle_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.queue = queue
        self.audience = audience or Audience()
        self.idle_s = idle_s
        self._draining = asyncio.Event()
        self._running: dict[str, _Running] = {}
        self._idle = asyncio.Event()  # set, and made anew, whenever a run was stopped
        self._clock = clock
        self._changes = SharedWait(self._change)
        self._tidying: asyncio.TimerHandle | None = None  # when nothing runs for a while
        self._breakers: dict[str, Breaker] = {}  # of targets on which something failed

    @property
    def draining(self) -> bool:
        """Whether no further run is handed out."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Hand out no further run; those that are being carried out are finished."""
        self._draining.set()

    async def serve(self, target: Target, retire: asyncio.Event) -> None:
        """Give runs to ``target`` until there are none, it may take no more, or it should go.

        Returns with no run on the target. If cancelled, the current run goes back to the queue.

        :param retire: set it to let the target finish its run and then go.
        """
        with seldom():
            await self._serve(target, retire)

    @property
    def resting(self) -> Mapping[str, float]:
        """Targets that are taken out because runs fail on them, and for how many seconds yet."""
        now = self._clock()
        rests = {name: breaker.rest_s(now) for name, breaker in self._breakers.items()}
        return {name: rest_s for name, rest_s in rests.items() if rest_s}

    def target_of(self, run_id: str) -> str | None:
        """The target that carries out a run now; ``None``: none does."""
        running = self._running.get(run_id)
        return running.target if running else None

    async def stop_job(self, job_id: str, reason: str) -> None:
        """End the runs of a job that are being carried out, and wait for that.

        They go back to the queue, which hands them out again unless the job ended; their handlers
        are told before this returns.

        :param reason: what the handlers are told.
        """
        for work in self._running.values():
            if work.run.job_id == job_id and not work.stopped:
                work.stopped = reason
                work.worker.cancel()
        while any(work.run.job_id == job_id for work in self._running.values()):
            await self._idle.wait()

    async def close(self) -> None:
        """Let the handlers finish what they were told."""
        await self.audience.close()

    async def _serve(self, target: Target, retire: asyncio.Event) -> None:
        # The next run begins while outcomes are on their way to the disk; none are when this ends.
        settling: Settling = []
        self.queue.join(target)
        try:
            while target.usable and not (retire.is_set() or self.draining):
                if self._rest_s(target) and not await self._rested(target, retire):
                    return
                run = await self.queue.claim(target)
                if run is None and settling:
                    await _settled(settling, at_most=0)
                elif run is None:
                    self._tidy_soon()
                    if not await self._news(target, retire):
                        return
                else:
                    settling += await self._execute(run, target)
                    await _settled(settling, at_most=UNSETTLED)
        finally:
            self.queue.leave(target)
            await finish(_settled(settling, at_most=0))

    async def _news(
        self, target: Target, retire: asyncio.Event, at_most_s: float | None = None
    ) -> bool:
        """Wait until there may be something to claim; whether that is worth the wait."""
        # What is with other targets may come back; for new jobs a target waits only so long.
        idle_s = None if self.queue.backlog_for(target.profile) else self.idle_s
        limit_s = min((s for s in (idle_s, at_most_s) if s is not None), default=None)
        try:
            # All that have nothing to do share one task: there may be hundreds of them.
            async with asyncio.timeout(limit_s), cut_short(self._changes.on_event):
                await retire.wait()
        except TimeoutError:
            return limit_s != idle_s
        return True

    def _change(self) -> Coroutine[Any, Any, None]:
        # What happens from now on counts, also before the task has begun.
        return first_of(self.queue.changed(), self._draining.wait())

    def _tidy_soon(self) -> None:
        """What runs have left is looked through as soon as nobody has to wait for that."""
        if not self._running and self._tidying is None:
            self._tidying = asyncio.get_running_loop().call_later(TIDY_S, self._tidy)

    def _tidy(self) -> None:
        self._tidying = None
        if not self._running:
            tidy()

    def _rest_s(self, target: Target) -> float:
        breaker = self._breakers.get(target.name)
        return 0.0 if breaker is None else breaker.rest_s(self._clock())

    async def _rested(self, target: Target, retire: asyncio.Event) -> bool:
        """Wait until a target may be tried again; false if there will be nothing to try it with."""
        self.queue.leave(target)  # nobody has to wait for what it might do
        try:
            while (rest_s := self._rest_s(target)) and not (retire.is_set() or self.draining):
                if not await self._news(target, retire, rest_s):
                    return False
        finally:
            self.queue.join(target)
        return not (retire.is_set() or self.draining)

    async def _execute(self, run: Run, target: Target) -> Settling:
        """Carry a run out; its outcome, or none: it was stopped, and is back in the queue."""
        with log_fields(job=run.job_id, run=run.id):
            ended = await self._carry_out(run, target)
        return [] if ended is None else [self._settle(ended)]

    async def _carry_out(self, run: Run, target: Target) -> Run | None:
        """A run with its outcome; ``None``: it was stopped."""
        handlers = self.audience.of(run)

        def emit(event: Event) -> None:
            for handler in handlers:
                handler.on_event(run, event)

        worker = asyncio.current_task()
        assert worker is not None
        running = self._running[run.id] = _Running(run, target.name, worker)
        for handler in handlers:
            handler.on_start(run)
        try:
            outcome = await target.execute(run, emit)
        except BaseException as error:
            await self.queue.push_back(run)
            for handler in handlers:
                handler.on_stop(run, running.stopped or "stopped before it was through")
            # Unless somebody else cancels the worker too, only this run ends.
            only_this = running.stopped and worker.cancelling() == 1
            if only_this and isinstance(error, asyncio.CancelledError):
                return None
            raise
        finally:
            if running.stopped:
                worker.uncancel()
            del self._running[run.id]
            if running.stopped:  # somebody waits for it
                self._idle.set()
                self._idle = asyncio.Event()
        self._judge(run, target, outcome)
        return replace(run, outcome=outcome)

    def _judge(self, run: Run, target: Target, outcome: Outcome) -> None:
        """Take a target out if nothing goes well on it."""
        breaker = self._breakers.pop(target.name, None)
        if outcome.failure is None:
            return
        failed = Failed(run.job_id, run.variant.index, outcome.failure)
        now = self._clock()
        breaker = self._breakers[target.name] = (breaker or Breaker()).after(failed, now)
        if rest_s := breaker.rest_s(now):
            log.warning(
                "%s: is taken out for %d s, because one run after the other fails on it",
                target.name,
                rest_s,
            )

    def _settle(self, ended: Run) -> asyncio.Future[Sequence[Outcome]]:
        """Give an outcome away, and tell the handlers once it is on the disk."""
        settling = asyncio.ensure_future(self.queue.settle(ended))
        settling.add_done_callback(partial(self._tell, ended))
        return settling

    def _tell(self, ended: Run, settled: asyncio.Future[Sequence[Outcome]]) -> None:
        if settled.cancelled() or settled.exception():
            return  # whoever serves the target raises it
        attempts, outcome = settled.result(), ended.outcome
        assert outcome is not None
        if outcome.failure:
            with log_fields(job=ended.job_id, run=ended.id):
                log.warning(
                    "variant %d, attempt %d on %s failed (%s): %s",
                    ended.variant.index,
                    ended.attempt,
                    outcome.target,
                    outcome.failure,
                    outcome.reason,
                )
        for handler in self.audience.of(ended):
            handler.on_finish(ended)
            if attempts:
                handler.on_bad(ended, attempts)

"""The run engine: gives each target one run after the other, and tells the handlers."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from taskgen.audience import Audience
from taskgen.events.model import Event
from taskgen.interfaces import Run, RunQueue, Target
from taskgen.waiting import first_of

log = logging.getLogger(__name__)


class Engine:
    """Feeds targets from a queue.

    :param queue: what is to be run, and where results are kept.
    :param audience: who is told of what.
    :param idle_s: a target that has had nothing to do for so long is let go; 0: at once.
    """

    def __init__(
        self, queue: RunQueue, audience: Audience | None = None, *, idle_s: float = 0.0
    ) -> None:
        self.queue = queue
        self.audience = audience or Audience()
        self.idle_s = idle_s
        self._draining = asyncio.Event()

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
        while target.usable and not (retire.is_set() or self.draining):
            run = await self.queue.claim(target)
            if run:
                await self._carry_out(run, target)
            elif not await self._news(retire):
                return

    async def close(self) -> None:
        """Let the handlers finish what they were told."""
        await self.audience.close()

    async def _news(self, retire: asyncio.Event) -> bool:
        """Wait until there may be something to claim; whether that is worth the wait."""
        # What is with other targets may come back; for new jobs a target waits only so long.
        limit_s = None if self.queue.backlog else self.idle_s
        try:
            async with asyncio.timeout(limit_s):
                await first_of(self.queue.changed(), retire.wait(), self._draining.wait())
        except TimeoutError:
            return False
        return True

    async def _carry_out(self, run: Run, target: Target) -> None:
        handlers = self.audience.of(run)

        def emit(event: Event) -> None:
            for handler in handlers:
                handler.on_event(run, event)

        for handler in handlers:
            handler.on_start(run)
        try:
            outcome = await target.execute(run, emit)
        except BaseException:
            await self.queue.push_back(run)
            for handler in handlers:
                handler.on_stop(run, "stopped before it was through")
            raise
        ended = replace(run, outcome=outcome)
        # The outcome is kept before anything else can cancel that.
        attempts = await asyncio.shield(self.queue.settle(ended))
        if outcome.failure:
            log.warning(
                "variant %d, attempt %d on %s failed (%s): %s",
                run.variant.index,
                run.attempt,
                outcome.target,
                outcome.failure,
                outcome.reason,
            )
        for handler in handlers:
            handler.on_finish(ended)
            if attempts:
                handler.on_bad(ended, attempts)

"""A job on a fleet of its own, from the first machine to the last row, with Ctrl-C in between."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager

from taskgen.audience import Audience
from taskgen.cli.console import logged_to, messages
from taskgen.cli.end import End, GivenUp
from taskgen.cli.note import note
from taskgen.cli.progress import in_words, shown
from taskgen.cli.signals import on_signals
from taskgen.engine import Engine
from taskgen.errors import TaskgenError, TaskSetError
from taskgen.events.handler import EventHandler
from taskgen.host.waiting import finish
from taskgen.interfaces import Counts
from taskgen.local import local_fleet
from taskgen.local_plan import FleetPlan
from taskgen.pool import Pool
from taskgen.queue import JobQueue, JobSpec, JobState
from taskgen.queue.values import total_of


class EmbeddedJob:
    """Runs one job on a fleet that lives as long as it does.

    :param handlers: told of everything, beside what is shown.
    :param machines: machines at most.
    """

    def __init__(
        self, plan: FleetPlan, job: JobSpec, handlers: Sequence[EventHandler], machines: int
    ) -> None:
        self._plan = plan
        self._job = job
        self._handlers = handlers
        self._machines = machines
        self._interrupted = False
        self._stopping = False
        self._queue: JobQueue | None = None
        self._engine: Engine | None = None
        self._pool: Pool | None = None
        self._main: asyncio.Task[object] | None = None

    async def execute(self) -> End:
        """Run it to its end, or to that which the user wants.

        :raises SetupError: if the fleet cannot be made; nothing is left then.
        """
        self._main = asyncio.current_task()
        given_up = GivenUp()
        error: TaskgenError | None = None
        audience: Audience | None = None
        with self._signals():
            try:
                async with local_fleet(self._plan) as fleet, JobQueue.open() as queue:
                    self._queue = queue
                    job_id = await queue.add(self._job)
                    audience = Audience([*self._handlers, given_up])
                    self._engine = Engine(queue, audience)
                    self._pool = fleet.pool(self._engine, queue, limit=self._machines)
                    error = await self._work(self._engine, self._pool)
                    job = await queue.job(job_id)
                    if job.state is JobState.FAILED:
                        error = error or TaskSetError(job.error)
            except asyncio.CancelledError:
                if not self._interrupted:
                    raise
        dispatchers = audience.dispatchers if audience else []
        return End(
            self._counts(),
            self._interrupted,
            error,
            given_up.reasons,
            [f"handler {d.name} missed {d.missed} calls" for d in dispatchers if d.missed]
            + [f"handler {d.name} failed {d.failed} times" for d in dispatchers if d.failed],
        )

    async def _work(self, engine: Engine, pool: Pool) -> TaskgenError | None:
        console = messages()
        try:
            with logged_to(console):
                async with shown(console, self._counts, self._fleet_in_words):
                    await pool.run()
        except TaskgenError as error:
            return error
        finally:
            await finish(engine.close())
        return None

    def _counts(self) -> Counts:
        return total_of([]) if self._queue is None else self._queue.counts

    def _fleet_in_words(self) -> str:
        machines = self._pool.machines.values() if self._pool else ()
        states = Counter(str(machine.state) for machine in machines)
        return "machines: " + (
            ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
        )

    def _signals(self) -> AbstractContextManager[None]:
        return on_signals(
            {
                signal.SIGINT: self._interrupt,
                signal.SIGTERM: self._stop,
                signal.SIGHUP: self._stop,
            }
        )

    def _interrupt(self) -> None:
        """Ctrl-C: once, finish what is running; again, or before anything runs, stop."""
        if self._interrupted or not (self._engine and self._pool):
            self._stop()
            return
        self._interrupted = True
        note(f"finishing what is running ({in_words(self._counts())}); Ctrl-C again stops it")
        self._engine.drain()
        self._pool.drain()

    def _stop(self) -> None:
        self._interrupted = True
        if not self._stopping and self._main:
            self._stopping = True
            note("stopping now, and cleaning up")
            self._main.cancel()

"""A job on a fleet of its own, from the first machine to the last row, with Ctrl-C in between."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from taskgen.audience import Audience
from taskgen.cli.console import ConsoleHandler, messages, note
from taskgen.cli.progress import in_words, shown
from taskgen.engine import Engine
from taskgen.errors import MachineError, TaskgenError, TaskSetError, console_lines
from taskgen.events.handler import EventHandler
from taskgen.host.waiting import finish
from taskgen.interfaces import Counts, Outcome, Run
from taskgen.local import FleetPlan, local_fleet
from taskgen.pool import Pool
from taskgen.queue import JobQueue, JobSpec, JobState
from taskgen.queue.values import total_of

#: Variants without a result that are told one by one.
TOLD = 5

#: Exit statuses beside 2, bad input; docs/cli.md lists them.
COMPLETE, INCOMPLETE, INTERRUPTED = 0, 1, 130


class GivenUp(EventHandler):
    """Keeps the reasons of the first variants that were given up."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        if len(self.reasons) < TOLD:
            last = attempts[-1]
            self.reasons.append(
                f"variant {run.variant.index} has no result after {len(attempts)} attempts"
                f" ({last.failure}): {last.reason}{console_lines(last.console)}"
            )


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended.

    :ivar error: what ended it early, apart from an interruption.
    :ivar given_up: why the first variants without a result have none.
    :ivar lost: what handlers missed or failed at.
    """

    counts: Counts
    interrupted: bool
    error: TaskgenError | None
    given_up: Sequence[str]
    lost: Sequence[str]

    def told(self) -> int:
        """Tell it on standard error; returns the exit status."""
        for line in (*self.given_up, *self.lost):
            note(line)
        if self.error:
            failed = self.error
            note(failed.with_console() if isinstance(failed, MachineError) else str(failed))
        total = "?" if self.counts.total is None else self.counts.total
        note(f"{self.counts.done} of {total} variants have a result")
        if self.interrupted:
            return INTERRUPTED
        complete = self.counts.done == self.counts.total or (
            self.counts.total is None and not self.counts.bad and not self.error
        )
        return COMPLETE if complete and not self.lost else INCOMPLETE


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

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        hooks = {
            signal.SIGINT: self._interrupt,
            signal.SIGTERM: self._stop,
            signal.SIGHUP: self._stop,
        }
        for number, hook in hooks.items():
            loop.add_signal_handler(number, hook)
        try:
            yield
        finally:
            for number in hooks:
                loop.remove_signal_handler(number)

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


@contextmanager
def logged_to(console: Console) -> Iterator[None]:
    """Send log records through ``console``, above what is shown live there."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, [ConsoleHandler(console)]
    try:
        yield
    finally:
        root.handlers = before

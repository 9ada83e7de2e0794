"""Follows one job of the daemon to its end."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing

from taskgen.cli.end import TOLD, End
from taskgen.client import AsyncClient
from taskgen.client.stream import Position
from taskgen.errors import DaemonUnreachableError, TaskSetError, UnknownJobError, console_lines
from taskgen.interfaces import Counts
from taskgen.resources import Degradation, EventKind, Job, Machine, StreamEvent
from taskgen.waiting import first_of

log = logging.getLogger(__name__)

#: States in which nothing will be done of a job any more.
ENDED = ("done", "cancelled", "failed")

_KINDS = (
    EventKind.JOB,
    EventKind.JOB_GONE,
    EventKind.MACHINE,
    EventKind.MACHINE_GONE,
    EventKind.PROBLEM,
    EventKind.RESYNC,
)


class JobWatch:
    """A job as it is now, and the machines, for as long as :meth:`until_ended` runs.

    A restart of the daemon is survived.

    :ivar job: as it was told last.
    """

    def __init__(self, client: AsyncClient, job: Job) -> None:
        self.job = job
        self._client = client
        self._machines: dict[str, str] = {}
        self._problems: set[str] = set()
        self._away = False
        self._changed = asyncio.Event()

    def counts(self) -> Counts:
        """How far it is."""
        return Counts(**self.job.counts.model_dump())

    def fleet_in_words(self) -> str:
        """How the machines are."""
        if self._away:
            return "the daemon is away"
        states = Counter(self._machines.values())
        return "machines: " + (
            ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
        )

    async def until_ended(self) -> None:
        """Wait until the job has ended.

        :raises UnknownJobError: if it is deleted.
        :raises DaemonUnreachableError: if the daemon is not there at first.
        """
        await first_of(self._follow(), self.until_over())

    async def until_over(self) -> None:
        """Wait until the job has ended, while :meth:`until_ended` is at work."""
        await self._until(lambda job: job.state in ENDED)

    async def until_idle(self) -> None:
        """Wait until nothing of the job runs, while :meth:`until_ended` is at work."""
        await self._until(lambda job: job.counts.running == 0)

    async def refresh(self) -> None:
        """Ask how it is now."""
        self._set(await self._client.job(self.job.id))

    async def end(self) -> End:
        """How it ended, and why what has no result has none."""
        given_up: list[str] = []
        if self.job.counts.bad:
            async with aclosing(self._client.runs(self.job.id, failed=True)) as runs:
                async for run in runs:
                    if run.state == "bad" and run.attempts:
                        last = run.attempts[-1]
                        given_up.append(
                            f"variant {run.variant} has no result after {len(run.attempts)}"
                            f" attempts ({last.failure}): {last.reason}"
                            f"{console_lines(last.console)}"
                        )
                    if len(given_up) == TOLD:
                        break
        error = TaskSetError(self.job.error) if self.job.state == "failed" else None
        return End(self.counts(), False, error, given_up, [])

    async def _until(self, reached: Callable[[Job], bool]) -> None:
        while not reached(self.job):
            self._changed.clear()
            await self._changed.wait()

    async def _follow(self) -> None:
        # Not only what is told of the job: machines and problems belong to none.
        position = Position(kinds=_KINDS)
        while True:
            try:
                async with self._client.listen(position) as events:
                    await self._look()  # from here on nothing is missed
                    self._away = False
                    async for event in events:
                        await self._take(event)
            except DaemonUnreachableError:
                if not position.ever:
                    raise
            self._away = True
            await asyncio.sleep(position.delay_s())

    async def _take(self, event: StreamEvent) -> None:
        match event.kind:
            case EventKind.JOB if event.data.get("id") == self.job.id:
                self._set(Job.model_validate(event.data))
            case EventKind.JOB_GONE if event.data.get("id") == self.job.id:
                raise UnknownJobError(f"job {self.job.id} was deleted")
            case EventKind.MACHINE:
                machine = Machine.model_validate(event.data)
                self._machines[machine.name] = machine.state
            case EventKind.MACHINE_GONE:
                self._machines.pop(str(event.data.get("name")), None)
            case EventKind.PROBLEM:
                self._told(Degradation.model_validate(event.data))
            case EventKind.RESYNC:
                await self._look()

    async def _look(self) -> None:
        async with aclosing(self._client.machines()) as machines:
            self._machines = {each.name: each.state async for each in machines}
        for problem in (await self._client.status()).problems:
            self._told(problem)
        await self.refresh()

    def _told(self, problem: Degradation) -> None:
        """Say once what may keep the job from going on."""
        if problem.text not in self._problems:
            self._problems.add(problem.text)
            log.warning("%s%s", problem.text, f" ({problem.hint})" if problem.hint else "")

    def _set(self, job: Job) -> None:
        self.job = job
        self._changed.set()

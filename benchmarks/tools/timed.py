"""A machine that is timed: how long it waits between its runs, and how long these are."""

from __future__ import annotations

import time
from itertools import pairwise

from benchmarks.tools.parts import Span
from taskgen.events.model import Event, EventType
from taskgen.interfaces import Emit, Outcome, Run
from taskgen.machine import Machine


class Timed:
    """Serves an engine as the machine itself does.

    :ivar spans: of each run when it began, with ``START``, and ended, with its last ``JOBS_DONE``,
        seconds since the epoch.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.spans: list[Span] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._machine, name)

    name = property(lambda self: self._machine.name)
    profile = property(lambda self: self._machine.profile)
    usable = property(lambda self: self._machine.usable)

    @property
    def waited_s(self) -> list[float]:
        """From the end of each run to the begin of the next one."""
        return [after[0] - run[1] for run, after in pairwise(self.spans)]

    async def execute(self, run: Run, emit: Emit) -> Outcome:
        """As the machine does it.

        :raises AssertionError: if the run fails.
        """
        ended_at = 0.0

        def timed(event: Event) -> None:
            nonlocal ended_at
            if event.type == EventType.JOBS_DONE:
                ended_at = time.time()
            emit(event)

        outcome = await self._machine.execute(run, timed)
        assert outcome.failure is None, outcome.reason
        self.spans.append((outcome.started_at, ended_at))
        return outcome

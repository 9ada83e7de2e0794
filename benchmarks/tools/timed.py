"""A machine that is timed: how long it waits between its runs, and how long these are."""

from __future__ import annotations

import time

from taskgen.events.model import Event, EventType
from taskgen.interfaces import Emit, Outcome, Run
from taskgen.machine import Machine


class Timed:
    """Serves an engine as the machine itself does.

    :ivar waited_s: from the last ``JOBS_DONE`` of each run to the ``START`` of the next one.
    :ivar spans_s: from ``START`` to the last ``JOBS_DONE``.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._ended_at = 0.0
        self.waited_s: list[float] = []
        self.spans_s: list[float] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._machine, name)

    name = property(lambda self: self._machine.name)
    profile = property(lambda self: self._machine.profile)
    usable = property(lambda self: self._machine.usable)

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
        if self._ended_at:
            self.waited_s.append(outcome.started_at - self._ended_at)
        self.spans_s.append(ended_at - outcome.started_at)
        self._ended_at = ended_at
        return outcome

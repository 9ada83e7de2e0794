"""What happens, on standard output, for people who watch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

from taskgen.events.handler import EventHandler
from taskgen.events.model import Event
from taskgen.interfaces import Outcome, Run


class StdoutHandler(EventHandler):
    """One line for each thing that happens.

    :param stream: where to write; standard output if ``None``.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def on_start(self, run: Run) -> None:
        values = ", ".join(f"{key}={value}" for key, value in run.variant.parameters.items())
        self._say(run, f"start{': ' if values else ''}{values}")

    def on_event(self, run: Run, event: Event) -> None:
        self._say(run, f"{event.at_us / 1000:.3f} ms  task {event.task_id}  {event.type}")

    def on_finish(self, run: Run) -> None:
        assert run.outcome is not None
        if run.outcome.failure:
            self._say(run, f"failed ({run.outcome.failure}): {run.outcome.reason}")
        else:
            self._say(run, f"done: {len(run.outcome.activations)} activations")

    def on_stop(self, run: Run, reason: str) -> None:
        self._say(run, f"stopped: {reason}")

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        self._say(run, f"given up after {len(attempts)} attempts: {attempts[-1].reason}")

    def _say(self, run: Run, text: str) -> None:
        where = f"variant {run.variant.index} attempt {run.attempt}"
        print(f"{where}: {text}", file=self._stream or sys.stdout, flush=True)

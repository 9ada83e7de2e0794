"""What a job's activations come to, task by task."""

from __future__ import annotations

import statistics
from array import array
from collections import Counter
from dataclasses import dataclass, field

from taskgen.events.handler import EventHandler
from taskgen.events.model import Activation
from taskgen.interfaces import Run


@dataclass(slots=True)
class TaskSummary:
    """One task of the set, over all runs that have a result.

    :ivar missed: activations that missed their deadline.
    :ivar judged: activations of which that can be said.
    :ivar exits: how the activations ended, by event type.
    :ivar responses_us: response times of the activations that ended by themselves, in µs.
    """

    task_id: int
    pkg: str
    activations: int = 0
    missed: int = 0
    judged: int = 0
    exits: Counter[str] = field(default_factory=Counter)
    responses_us: array[int] = field(default_factory=lambda: array("q"))

    def add(self, activation: Activation) -> None:
        self.activations += 1
        self.exits[activation.exit] += 1
        if activation.missed is not None:
            self.judged += 1
            self.missed += activation.missed
        if activation.completed and activation.response_us is not None:
            self.responses_us.append(activation.response_us)

    @property
    def response_us(self) -> tuple[int, float, int] | None:
        """Least, median and greatest response time; ``None`` if nothing ended by itself."""
        times = self.responses_us
        return (min(times), statistics.median(times), max(times)) if times else None


class SummaryHandler(EventHandler):
    """Adds up the activations of the runs that have a result.

    :ivar tasks: the summaries, by task id and package, in the order of their ids.
    :ivar accelerators: what the machines ran with, as far as they tell.
    :ivar runs: that have a result.
    :ivar overcommitted: those of them beside which machines asked for more than the host had.
    """

    def __init__(self) -> None:
        self._tasks: dict[tuple[int, str], TaskSummary] = {}
        self.accelerators: set[str] = set()
        self.runs = self.overcommitted = 0

    @property
    def tasks(self) -> list[TaskSummary]:
        return [self._tasks[key] for key in sorted(self._tasks)]

    def on_finish(self, run: Run) -> None:
        assert run.outcome is not None
        if run.outcome.failure:
            return
        told = run.outcome.provenance
        self.runs += 1
        self.overcommitted += any(told.get(f"{what}_overcommitted") for what in ("cpus", "memory"))
        if accelerator := told.get("accelerator"):
            self.accelerators.add(accelerator)
        for activation in run.outcome.activations:
            key = (activation.task_id, activation.pkg)
            if key not in self._tasks:
                self._tasks[key] = TaskSummary(*key)
            self._tasks[key].add(activation)

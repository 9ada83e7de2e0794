"""How a job ended, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskgen.cli.note import note
from taskgen.errors import MachineError, TaskgenError, console_lines
from taskgen.events.handler import EventHandler
from taskgen.interfaces import Counts, Outcome, Run

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

"""What a user's object is told of its runs."""

from __future__ import annotations

from collections.abc import Sequence

from taskgen.events.model import Event
from taskgen.interfaces import Outcome, Run


class EventHandler:
    """Base class: each hook does nothing unless it is overridden.

    The hooks of one handler are called one after the other, from a thread of its own, never from
    the engine's loop. A hook that raises is reported and never stops a run. After a crash a run may
    be reported again: ``run.id`` tells an attempt from its repeat.
    """

    def on_start(self, run: Run) -> None:
        """The tasks of ``run`` were started on a target."""

    def on_event(self, run: Run, event: Event) -> None:
        """The guest told an event."""

    def on_finish(self, run: Run) -> None:
        """An attempt has ended; ``run.outcome`` says how, and holds its activations."""

    def on_stop(self, run: Run, reason: str) -> None:
        """The run was ended or pushed back before it was through, and has no outcome."""

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        """The variant of ``run`` was given up; ``attempts`` are its outcomes, oldest first."""

    def close(self) -> None:
        """No hook will be called any more."""

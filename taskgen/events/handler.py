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

    After :meth:`close` a handler may be used again: whatever it holds is acquired anew.
    """

    @property
    def name(self) -> str:
        """What reports call it."""
        return type(self).__name__

    @property
    def wants_events(self) -> bool:
        """Whether it is told single events; by default, if it overrides :meth:`on_event`."""
        return type(self).on_event is not EventHandler.on_event

    def on_start(self, run: Run) -> None:
        """The tasks of ``run`` were started on a target."""

    def on_event(self, run: Run, event: Event) -> None:
        """The guest told an event. These are the first to be missed by a handler that is slow;
        ``run.outcome.events`` has them all in the end."""

    def on_finish(self, run: Run) -> None:
        """An attempt has ended; ``run.outcome`` says how, and holds its activations."""

    def on_stop(self, run: Run, reason: str) -> None:
        """The run was ended or pushed back before it was through, and has no outcome."""

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        """The variant of ``run`` was given up; ``attempts`` are its outcomes, oldest first."""

    def close(self) -> None:
        """No hook will be called any more."""

"""What happens, through Python's logging, for programs that have it set up."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from taskgen.events.handler import EventHandler
from taskgen.events.model import Event
from taskgen.interfaces import Outcome, Run
from taskgen.results.rows import result_of


class LoggingHandler(EventHandler):
    """Logs starts and events as DEBUG, ends as INFO, failures as WARNING, what was given up as
    ERROR.

    Each record has ``run_id``, ``job_id``, ``variant`` and ``attempt`` as attributes, for
    formatters and filters.

    :param logger: where to; the logger ``taskgen.runs`` if ``None``.
    """

    def __init__(self, logger: logging.Logger | str | None = None) -> None:
        chosen = "taskgen.runs" if logger is None else logger
        self.logger = logging.getLogger(chosen) if isinstance(chosen, str) else chosen

    def on_start(self, run: Run) -> None:
        values = ", ".join(f"{key}={value}" for key, value in run.variant.parameters.items())
        self._log(logging.DEBUG, run, "start%s%s", ": " if values else "", values)

    def on_event(self, run: Run, event: Event) -> None:
        self._log(
            logging.DEBUG,
            run,
            "%.3f ms  task %d  %s",
            event.at_us / 1000,
            event.task_id,
            event.type,
        )

    def on_finish(self, run: Run) -> None:
        outcome = run.outcome
        assert outcome is not None
        if outcome.failure:
            text = "failed on %s (%s): %s"
            self._log(logging.WARNING, run, text, outcome.target, result_of(run), outcome.reason)
            return
        missed = sum(activation.missed is True for activation in outcome.activations)
        text = "done on %s: %d activations, %d deadlines missed"
        self._log(logging.INFO, run, text, outcome.target, len(outcome.activations), missed)

    def on_stop(self, run: Run, reason: str) -> None:
        self._log(logging.INFO, run, "stopped: %s", reason)

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        text = "given up after %d attempts: %s"
        self._log(logging.ERROR, run, text, len(attempts), attempts[-1].reason if attempts else "")

    def _log(self, level: int, run: Run, text: str, *values: object) -> None:
        extra = {
            "run_id": run.id,
            "job_id": run.job_id,
            "variant": run.variant.index,
            "attempt": run.attempt,
        }
        where = f"variant {run.variant.index} attempt {run.attempt}: "
        self.logger.log(level, where + text, *values, extra=extra)


#: The name that the prototypes' users know.
LoggingMonitor = LoggingHandler

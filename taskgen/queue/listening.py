"""Tells whoever wants to know which jobs have changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Set
from typing import Any

from taskgen.queue.claims import Claims
from taskgen.queue.database import Batch

log = logging.getLogger(__name__)

#: Called with the ids of the jobs; must not block.
Listener = Callable[[Set[str]], object]


class Listening(Claims):
    """A queue whose changes can be followed."""

    def __init__(self, *args: Any, **keys: Any) -> None:
        self._listeners: list[Listener] = []
        self._changed_jobs: set[str] = set()
        super().__init__(*args, **keys)

    def on_jobs_changed(self, listener: Listener) -> None:
        """Call ``listener`` with the ids of jobs that were added, have changed or were deleted.

        It is called on the loop, after the change is on the disk and :meth:`job` tells it; once for
        all that one transaction wrote, and so at most some fifty times a second. A job that
        :meth:`job` does not know then was deleted.
        """
        self._listeners.append(listener)

    def _has_changed(self, *job_ids: str) -> None:
        """Have them told after the batch that is being written, or that was written last."""
        self._changed_jobs.update(job_ids)

    def _collect(self, batch: Batch) -> None:
        if self._listeners:
            self._has_changed(*(work.id for work in self._touched))
        super()._collect(batch)

    def _committed(self) -> None:
        super()._committed()
        changed, self._changed_jobs = self._changed_jobs, set()
        self._tell(changed)

    def _tell(self, job_ids: Iterable[str]) -> None:
        if changed := frozenset(job_ids):
            for listener in self._listeners:
                try:
                    listener(changed)
                except Exception:  # whatever it is: results must go on to the disk
                    log.exception("a listener to changes of jobs has failed")

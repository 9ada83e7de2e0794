"""The attempts of a queue one after the other, for those who follow them. Blocks."""

from __future__ import annotations

from dataclasses import replace

from taskgen.errors import UnknownJobError
from taskgen.frozen import thaw
from taskgen.queue.reader import Reading
from taskgen.queue.rows import Row, attempt_of
from taskgen.queue.values import Attempt

#: Rows that one call looks at, if it wants those of one job only.
SCAN = 2000

#: Bytes of activations, events and console after which a call has read enough.
ENOUGH_BYTES = 4 * 2**20


def following(
    reading: Reading, after: int, job: str | None, limit: int, parameters: bool
) -> tuple[list[Attempt], int]:
    """Attempts behind a sequence number, and the number to go on from.

    See :meth:`JobQueue.attempts_feed`.
    """
    number = None
    if job is not None:
        found = reading.rows("job_info", (job,))
        if not found:
            raise UnknownJobError(f"job {job}: there is no such job")
        number = found[0]["number"]
        after = max(after, found[0]["attempts_after"])
    end = reading.rows("feed_end", (after, SCAN))
    until = end[0]["id"] if end else max(after, reading.rows("last_attempt")[0]["id"])
    wanted = {"after": after, "until": until, "job": number, "limit": limit}
    budget = _Budget(ENOUGH_BYTES)
    rows = reading.rows("feed", wanted, budget.spent_on)
    if len(rows) == limit or budget.left <= 0:  # there may be more before ``until``
        until = rows[-1]["id"] if rows else after
    attempts = [attempt_of(row) for row in rows]
    if parameters:
        attempts = [
            _with_parameters(reading, row["job"], attempt)
            for row, attempt in zip(rows, attempts, strict=True)
        ]
    return attempts, until


def results_behind(
    reading: Reading, job: str, after: int, limit: int
) -> tuple[list[Attempt], bool]:
    """Results of a job behind a position, by position, and whether there may be more.

    See :meth:`JobQueue.results_page`.
    """
    found = reading.rows("job_info", (job,))
    if not found:
        raise UnknownJobError(f"job {job}: there is no such job")
    budget = _Budget(ENOUGH_BYTES)
    rows = reading.rows("results_of", (found[0]["number"], after, limit), budget.spent_on)
    return [attempt_of(row) for row in rows], len(rows) == limit or budget.left <= 0


def _with_parameters(reading: Reading, job: int, attempt: Attempt) -> Attempt:
    if attempt.parameters is not None:
        return attempt
    variant = reading.variant(job, attempt.position)
    return replace(attempt, parameters=None if variant is None else thaw(variant.parameters))


class _Budget:
    """Bytes that may still be read."""

    def __init__(self, left: int) -> None:
        self.left = left

    def spent_on(self, row: Row) -> bool:
        """Whether nothing is left after this row."""
        self.left -= sum(len(row[name] or "") for name in ("activations", "events", "console"))
        return self.left <= 0

"""Runs as the database tells them: what waits, what runs, what came of the rest. Blocks."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from taskgen.errors import UnknownJobError, UnknownRunError
from taskgen.frozen import thaw
from taskgen.queue.reader import Reading
from taskgen.queue.rows import Row, attempt_of, run_id
from taskgen.queue.values import Attempt, RunInfo, RunState

#: Which variants are wanted: with failed attempts, without, or both.
_BEGUN = {None: "begun", True: "begun_and_failed", False: "begun_and_not_failed"}


def begun(
    reading: Reading, job_id: str, after: int, limit: int, failed: bool | None
) -> list[RunInfo]:
    """The last run at each variant that was begun; see :meth:`JobQueue.runs`."""
    found = reading.rows("job_info", (job_id,))
    if not found:
        raise UnknownJobError(f"job {job_id}: there is no such job")
    job = found[0]
    wanted = {"job": job["number"], "after": after, "limit": limit}
    positions = [row["position"] for row in reading.rows(_BEGUN[failed], wanted)]
    at = _Known(reading, job, positions)
    return [at.run(position, at.last(position)) for position in positions]


def run_of(reading: Reading, wanted: str) -> RunInfo:
    """A run with all that came of it; see :meth:`JobQueue.attempt`."""
    job_id, position, attempt = _parts(wanted)
    found = reading.rows("job_info", (job_id,))
    if not found:
        raise _unknown(wanted)
    at = _Known(reading, found[0], [position])
    if not at.has(position, attempt):
        raise _unknown(wanted)
    run = at.run(position, attempt)
    if run.ended is None:
        return run
    (whole,) = reading.rows("attempt", (run.ended.sequence,))
    return replace(run, ended=replace(attempt_of(whole), parameters=run.parameters))


class _Known:
    """All that is known of some variants of one job."""

    def __init__(self, reading: Reading, job: Row, positions: Sequence[int]) -> None:
        self._reading = reading
        self._job = job
        self._ended: dict[int, dict[int, Attempt]] = defaultdict(dict)
        self._claims: dict[int, Row] = {}
        chosen = {"job": job["number"], "positions": json.dumps(list(positions))}
        for row in reading.rows("ends_at", chosen):
            attempt = attempt_of({**row, "job_id": job["id"]})
            self._ended[attempt.position][attempt.attempt] = attempt
        for row in reading.rows("claims_at", chosen):
            self._claims[row["position"]] = row

    def has(self, position: int, attempt: int) -> bool:
        """Whether there is, or was, such an attempt."""
        claim = self._claims.get(position)
        return attempt in self._ended[position] or bool(claim and claim["attempt"] == attempt)

    def last(self, position: int) -> int:
        """The attempt that runs or comes next, else the last one that has ended."""
        claim = self._claims.get(position)
        return claim["attempt"] if claim else max(self._ended[position])

    def run(self, position: int, number: int) -> RunInfo:
        """One attempt, with the others at its variant."""
        ended = self._ended[position].get(number)
        others = tuple(self._ended[position].values())
        target = ended.outcome.target if ended else self._claims[position]["target"]
        variant = self._reading.variant(self._job["number"], position)
        parameters = thaw(variant.parameters) if variant else None
        if parameters is None:
            parameters = next((each.parameters for each in others), None)
        return RunInfo(
            id=run_id(self._job["id"], position, number),
            job_id=self._job["id"],
            position=position,
            variant=others[0].variant if others else variant.index if variant else None,
            attempt=number,
            state=_state(ended, target),
            target=target,
            parameters=parameters,
            ended=ended and replace(ended, parameters=parameters),
            attempts=others,
        )


def _state(ended: Attempt | None, target: str | None) -> RunState:
    if ended is None:
        return RunState.WAITING if target is None else RunState.RUNNING
    if ended.outcome.failure is None:
        return RunState.DONE
    return RunState.BAD if ended.bad else RunState.FAILED


def _parts(run: str) -> tuple[str, int, int]:
    """Job, position and attempt out of a run's id."""
    try:
        job_id, position, attempt = run.rsplit("-", 2)
        numbers = int(position), int(attempt)
    except ValueError:
        raise _unknown(run) from None
    # Written in another way it would be another id of the same run; and SQLite has 64 bits.
    if run != run_id(job_id, *numbers) or max(numbers) >= 2**63:
        raise _unknown(run)
    return job_id, *numbers


def _unknown(run: str) -> UnknownRunError:
    return UnknownRunError(f"run {run}: there is no such run")

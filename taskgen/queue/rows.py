"""Jobs and attempts as rows of the database, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any

from taskgen.events.model import Activation, Event
from taskgen.frozen import thaw
from taskgen.interfaces import Counts, FailureClass, Outcome, Run, SessionSettings
from taskgen.queue.values import ENDED, Attempt, JobInfo, JobState

Row = Mapping[str, Any]

_EVENT = tuple(each.name for each in fields(Event))
_ACTIVATION = tuple(each.name for each in fields(Activation))
_SETTINGS = tuple(each.name for each in fields(SessionSettings))

_event_values, _activation_values = attrgetter(*_EVENT), attrgetter(*_ACTIVATION)


def _plain(value: object) -> object:
    # Anything that is no plain data becomes its text: provenance must not be able to cost a result.
    return thaw(value) if isinstance(value, Mapping) else str(value)


_encode = json.JSONEncoder(separators=(",", ":"), default=_plain).encode


def run_id(job_id: str, position: int, attempt: int) -> str:
    """What tells an attempt from all others, those of other databases included."""
    return f"{job_id}-{position}-{attempt}"


def attempt_row(
    number: int, job: int, position: int, run: Run, keep_parameters: bool
) -> tuple[int | float | str | None, ...]:
    """The row of an attempt that has ended, in the order of the statement ``keep_attempts``."""
    outcome = run.outcome
    assert outcome is not None
    failed = outcome.failure is not None
    return (
        number,
        job,
        position,
        run.attempt,
        run.variant.index,
        json_text(run.variant.parameters) if keep_parameters else None,
        _clean(outcome.target),
        outcome.failure,
        _clean(outcome.reason),
        outcome.started_at,
        outcome.duration_s,
        _encode([_activation_values(each) for each in outcome.activations]),
        _encode([_event_values(each) for each in outcome.events]) if failed else None,
        _clean(outcome.console) if failed else None,
        json_text(outcome.provenance),
        json_text(outcome.diagnosis) if outcome.diagnosis else None,
    )


def attempt_of(row: Row) -> Attempt:
    """An attempt from its row, which has its job's id as ``job_id``."""
    parameters = row["parameters"]
    return Attempt(
        sequence=row["id"],
        run_id=run_id(row["job_id"], row["position"], row["attempt"]),
        job_id=row["job_id"],
        position=row["position"],
        variant=row["variant"],
        attempt=row["attempt"],
        parameters=None if parameters is None else json.loads(parameters),
        bad=bool(row["bad"]),
        outcome=outcome_of(row),
    )


def outcome_of(row: Row) -> Outcome:
    """The outcome from an attempt's row."""
    events = json.loads(row["events"] or "[]")
    return Outcome(
        target=row["target"],
        failure=None if row["failure"] is None else FailureClass(row["failure"]),
        reason=row["reason"],
        events=tuple(Event(**dict(zip(_EVENT, one, strict=True))) for one in events),
        activations=tuple(
            Activation(**dict(zip(_ACTIVATION, one, strict=True)))
            for one in json.loads(row["activations"])
        ),
        started_at=row["started_at"],
        duration_s=row["duration_s"],
        console=row["console"] or "",
        diagnosis=json.loads(row["diagnosis"] or "{}"),
        provenance=json.loads(row["provenance"]),
    )


def settings_text(settings: SessionSettings) -> str:
    """Session settings as they are kept."""
    return json_text({name: getattr(settings, name) for name in _SETTINGS})


def settings_of(text: str) -> SessionSettings:
    """Session settings from what was kept."""
    return SessionSettings(**json.loads(text))


def job_info(row: Row) -> JobInfo:
    """A job from its row in ``job_infos``, as if none of its runs were on a target."""
    state = JobState(row["state"])
    return JobInfo(
        id=row["id"],
        number=row["number"],
        name=row["name"],
        labels=json.loads(row["labels"]),
        priority=row["priority"],
        profile=row["profile"],
        tries=row["tries"],
        repeat=row["repeat"],
        settings=settings_of(row["settings"]),
        offset=row["first"],
        state=state,
        error=row["error"],
        counts=counts(
            total=row["total"],
            running=0,
            done=row["done"],
            bad=row["bad"],
            failed_attempts=row["failed_attempts"],
            ended=state in ENDED,
        ),
        resumable=bool(row["resumable"]),
        binaries=json.loads(row["binaries"]),
        provenance=json.loads(row["provenance"]),
        added_at=row["added_at"],
        ended_at=row["ended_at"],
    )


def counts(
    *,
    total: int | None,
    running: int,
    done: int,
    bad: int,
    failed_attempts: int,
    ended: bool,
) -> Counts:
    """How far a job is; of one that has ended nothing is queued."""
    queued = None if total is None else total - done - bad - running
    return Counts(
        total=total,
        queued=0 if ended else queued,
        running=running,
        done=done,
        bad=bad,
        failed_attempts=failed_attempts,
    )


def json_text(value: Any) -> str:
    """Plain data as text, ASCII only."""
    return _encode(value)


def _clean(text: str) -> str:
    """Text without what UTF-8 cannot hold, such as half of a pair from a console."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")

"""What the API tells, as the values that a program without a daemon gets."""

from __future__ import annotations

from collections.abc import Iterable

from taskgen import resources
from taskgen.events.model import Activation, Event
from taskgen.interfaces import Counts, FailureClass, Outcome, SessionSettings
from taskgen.queue import Attempt, JobInfo, JobState
from taskgen.status import Status


def job_info(job: resources.Job) -> JobInfo:
    """A job as it is now."""
    return JobInfo(
        id=job.id,
        number=job.number,
        name=job.name,
        labels=job.labels,
        priority=job.priority,
        profile=job.profile,
        tries=job.tries,
        repeat=job.repeat,
        settings=settings(job.session),
        offset=job.offset,
        state=JobState(job.state),
        error=job.error,
        counts=Counts(**job.counts.model_dump()),
        resumable=job.resumable,
        binaries=job.binaries,
        provenance=job.provenance,
        added_at=job.added_at,
        ended_at=job.ended_at,
    )


def settings(session: resources.Session) -> SessionSettings:
    """How runs are carried out."""
    return SessionSettings(**session.model_dump())


def attempt(told: resources.Attempt) -> Attempt:
    """An attempt that has ended."""
    return Attempt(
        sequence=told.sequence,
        run_id=told.run,
        job_id=told.job,
        position=told.position,
        variant=told.variant,
        attempt=told.attempt,
        parameters=told.parameters,
        bad=told.bad,
        outcome=outcome(told),
    )


def outcome(told: resources.Attempt) -> Outcome:
    """What became of an attempt."""
    return Outcome(
        target=told.target,
        failure=None if told.failure is None else FailureClass(told.failure),
        reason=told.reason,
        events=tuple(event(each) for each in told.events),
        activations=tuple(Activation(**each.model_dump()) for each in told.activations),
        started_at=told.started_at,
        duration_s=told.duration_s,
        console=told.console,
        diagnosis=told.diagnosis.model_dump() if told.diagnosis else {},
        provenance=told.provenance,
    )


def event(told: resources.RunEvent) -> Event:
    """An event that a guest told."""
    return Event(**told.model_dump())


def status(
    told: resources.Status, machines: Iterable[resources.Machine], handlers: tuple[str, ...]
) -> Status:
    """How things stand.

    :param handlers: what handlers missed or failed at; they are with us.
    """
    fleet = told.fleet
    problems = [f"{p.text} ({p.hint})" if p.hint else p.text for p in told.problems]
    return Status(
        max_machines=fleet.max_machines if fleet else 0,
        machines_in_effect=fleet.in_effect if fleet else 0,
        reasons=(*(fleet.reasons if fleet else ()), *problems),
        machines={machine.name: machine.state for machine in machines},
        hosts=told.hosts,
        handlers=handlers,
    )

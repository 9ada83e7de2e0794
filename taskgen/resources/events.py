"""What the event stream tells (`GET /v1/events`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from taskgen.resources.base import Resource


class EventKind(StrEnum):
    """What has happened; the `event:` of the stream, and the shape of its data."""

    MACHINE = "machine"  #: a machine changed: a Machine
    MACHINE_GONE = "machine.gone"  #: a machine is no more: {name, reason}
    FLEET = "fleet"  #: a Fleet
    JOB = "job"  #: a job was added or changed: a Job. Of many changes the last one is told
    JOB_GONE = "job.gone"  #: a job was deleted: {id}
    HOST = "host"  #: a Host changed its state
    LEASE = "lease"  #: a Lease is new or changed
    PROBLEM = "problem"  #: a Degradation has begun, or changed
    PROBLEM_GONE = "problem.gone"  #: it is over: {key}
    RUN_STARTED = "run.started"  #: {run, job, position, variant, attempt, target}
    RUN_EVENT = "run.event"  #: {run, job, event: RunEvent}; only if the client asks for them
    RUN_FINISHED = "run.finished"  #: {run, job, …, target, failure, reason}; it is on the disk
    RUN_STOPPED = "run.stopped"  #: {run, job, reason}: pushed back or cancelled, no outcome
    RUN_BAD = "run.bad"  #: {run, job, position, variant, attempts}: the variant was given up
    RESYNC = "resync"  #: {}: something was missed, ask for what you need again


class StreamEvent(Resource):
    """One event of the stream."""

    id: str = Field(description="Give the last one as `Last-Event-ID` to go on behind it.")
    kind: EventKind
    at: float
    data: dict[str, Any]

"""Jobs, their runs, and what came of them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from taskgen.resources.base import Page, Request, Resource
from taskgen.resources.diagnosis import Diagnosis

#: Keeps what one request can make the daemon remember in bounds.
MAX_LABELS = 64
MAX_TEXT = 256
#: SQLite's integers have 64 bits.
MAX_NUMBER = 2**63 - 1

Name = Annotated[str, Field(max_length=MAX_TEXT)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Counts(Resource):
    """How far the runs are."""

    total: int | None = Field(description="null: the task-set cannot tell.")
    queued: int | None
    running: int
    done: int = Field(description="Variants that have a result.")
    bad: int = Field(description="Variants that were given up.")
    failed_attempts: int = Field(description="Also those that were made good later.")


class Session(Resource):
    """How runs are carried out."""

    admission_control: dict[str, Any] | None = Field(default=None, description="As `OPTIMIZE`.")
    duration_s: float | None = None
    margin: float = 1.5
    slack_s: float = 10.0


class NewJob(Request):
    """A task-set with all its variants: exactly one of `document` and `taskset`."""

    document: dict[str, Any] | None = Field(
        default=None, description="The task-set, as docs/taskset.schema.json has it."
    )
    taskset: str | None = Field(
        default=None,
        max_length=MAX_TEXT,
        description="Name of a task-set that is installed where the daemon runs.",
    )
    name: Name = ""
    labels: dict[Name, Name] = Field(default_factory=dict, max_length=MAX_LABELS)
    priority: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    offset: int = Field(default=0, ge=0, le=MAX_NUMBER)
    limit: int | None = Field(default=None, ge=0, le=MAX_NUMBER)
    repeat: int = Field(default=1, ge=1, le=1_000_000_000)
    tries: int | None = Field(default=None, ge=1, le=1000)
    profile: Name | None = None
    duration_s: float | None = Field(default=None, gt=0, le=1e9)
    admission_control: dict[str, Any] | None = None
    binaries: dict[Name, Sha256] = Field(
        default_factory=dict,
        max_length=1024,
        description="Task binaries that were uploaded: SHA-256 by the `pkg` of the tasks.",
    )
    paused: bool = Field(default=False, description="Begin nothing of it until it is resumed.")


class JobChange(Request):
    """What can be changed of a job that has not ended."""

    priority: int | None = Field(default=None, ge=-1_000_000, le=1_000_000)
    name: Name | None = None


class Job(Resource):
    """A job as it is now."""

    id: str
    number: int = Field(description="Grows from one job to the next.")
    name: str
    labels: dict[str, str]
    priority: int
    profile: str | None = Field(description="The machine profile that it needs; null: any.")
    tries: int
    repeat: int
    offset: int
    session: Session
    state: str = Field(description="queued, running, paused, cancelled, done, failed.")
    error: str = Field(description="Why it failed.")
    counts: Counts
    resumable: bool
    binaries: dict[str, str]
    provenance: dict[str, Any]
    added_at: float
    ended_at: float | None


class RunEvent(Resource):
    """An event that a guest told; docs/protocol.md has their meaning."""

    type: str
    task_id: int
    time_stamp_ms: int
    time_us: int | None = None
    release_us: int | None = None
    cpu_us: int | None = None


class Activation(Resource):
    """One release of a task; times are µs on the guest's clock, 0 at `START`."""

    task_id: int
    pkg: str
    number: int
    release_us: int
    start_us: int | None
    end_us: int | None
    deadline_us: int | None
    cpu_us: int | None
    exit: str


class Attempt(Resource):
    """An attempt at a run that has ended, as it was kept."""

    sequence: int = Field(description="Grows from one kept attempt to the next, over all jobs.")
    run: str = Field(description="`<job>-<position>-<attempt>`.")
    job: str
    position: int = Field(description="Of the variant in its job.")
    variant: int = Field(description="The variant's index in its task-set.")
    attempt: int = Field(description="1 for the first.")
    parameters: dict[str, Any] | None = Field(description="The values that vary.")
    target: str
    failure: str | None = Field(description="task, guest, machine, infrastructure; null: none.")
    reason: str = ""
    bad: bool = Field(default=False, description="With it the variant was given up.")
    started_at: float
    duration_s: float
    activations: list[Activation] = Field(default_factory=list)
    events: list[RunEvent] = Field(default_factory=list, description="Only of failed ones.")
    console: str = Field(default="", description="Only of failed ones.")
    diagnosis: Diagnosis | None = Field(
        default=None, description="What was wrong with the machine; null: it was not examined."
    )
    provenance: dict[str, Any] = Field(default_factory=dict)


class AttemptPage(Page[Attempt]):
    """A part of all attempts."""

    sequence: int = Field(
        description="All attempts up to this one were looked at; give it as `after` to go on."
    )


class Run(Resource):
    """A run: one attempt at a variant, and what else is known of that variant."""

    id: str
    job: str
    position: int
    variant: int | None = Field(description="null: nothing tells it any more.")
    attempt: int
    state: str = Field(description="waiting, running, done, failed, bad.")
    target: str | None
    parameters: dict[str, Any] | None
    ended: Attempt | None = Field(description="What came of it; null: it has not ended.")
    attempts: list[Attempt] = Field(
        description="All attempts at the variant that have ended, without their activations."
    )


class Binary(Resource):
    """A task binary that was uploaded."""

    sha256: str = Field(description="Of its content.")
    size: int = Field(description="Bytes.")
    architecture: str

"""Calls about jobs, and what came of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx
from pydantic import ValidationError

from taskgen.client.call import Call, nothing, reads
from taskgen.client.calls.common import PAGE, label_query, path_of, refused
from taskgen.resources import Attempt, Job, JobChange, NewJob, Page, Run

if TYPE_CHECKING:  # a command that only asks need not wait for it to be imported
    from taskgen.taskset import TaskSet


def add_job(job: NewJob | TaskSet | str, *, key: str | None = None, **options: Any) -> Call[Job]:
    """Queue all variants of a task-set.

    :param job: the whole request; or a task-set; or the name of one that is installed where the
        daemon runs.
    :param key: the same key twice makes one job, so that it can be asked for again after a
        connection was lost; default: a new one.
    :param options: fields of :class:`taskgen.resources.NewJob`, where ``job`` is a task-set.
    :raises ConfigError: for an option that there is not, or that makes no sense.
    :raises TaskSetError: if no document can hold the task-set.
    """
    new = new_job(job, **options)
    return Call(
        method="POST",
        path="jobs",
        read=reads(Job),
        body=new.model_dump(mode="json", exclude_unset=True),
        headers={"Idempotency-Key": key or uuid.uuid4().hex},
    )


def new_job(job: NewJob | TaskSet | str, **options: Any) -> NewJob:
    """The request for a job; parameters and errors as of :func:`add_job`."""
    try:
        if isinstance(job, NewJob):
            return NewJob(**{**job.model_dump(exclude_unset=True), **options})
        if isinstance(job, str):
            return NewJob(taskset=job, **options)
        return NewJob(document=job.whole_document(), **options)
    except ValidationError as error:
        raise refused(error) from error


def jobs(
    *,
    state: str | None = None,
    labels: Mapping[str, str] | None = None,
    after: int | None = None,
    page: int = PAGE,
) -> Call[Page[Job]]:
    """The jobs, oldest first.

    :param state: only those in this state.
    :param labels: only those that have all of these.
    :param after: begin behind the job with this number.
    """
    query = {"state": state, "label": label_query(labels), "after": after, "limit": page}
    return Call(method="GET", path="jobs", read=reads(Page[Job]), query=query)


def job(job_id: str) -> Call[Job]:
    """One job.

    :raises UnknownJobError: if there is no such job.
    """
    return Call(method="GET", path=path_of("jobs", job_id), read=reads(Job))


def change_job(job_id: str, change: JobChange) -> Call[Job]:
    """Change a job that has not ended."""
    body = change.model_dump(exclude_unset=True)
    return Call(method="PATCH", path=path_of("jobs", job_id), read=reads(Job), body=body)


def delete_job(job_id: str) -> Call[None]:
    """Forget a job that has ended, with all that came of it."""
    return Call(method="DELETE", path=path_of("jobs", job_id), read=nothing)


def _to_job(job_id: str, action: str) -> Call[Job]:
    return Call(method="POST", path=path_of("jobs", job_id, action), read=reads(Job))


def cancel_job(job_id: str) -> Call[Job]:
    """Give the rest of a job up; what runs of it is stopped."""
    return _to_job(job_id, "cancel")


def pause_job(job_id: str) -> Call[Job]:
    """Begin no further run of a job until :meth:`resume_job`."""
    return _to_job(job_id, "pause")


def resume_job(job_id: str) -> Call[Job]:
    """Go on with a job that was paused."""
    return _to_job(job_id, "resume")


def retry_bad(job_id: str) -> Call[Job]:
    """Run the variants of a job that were given up again."""
    return _to_job(job_id, "retry-bad")


def document(job_id: str) -> Call[dict[str, Any]]:
    """The document of a job's task-set."""
    return Call(method="GET", path=path_of("jobs", job_id, "document"), read=reads(dict[str, Any]))


def runs(
    job_id: str, *, failed: bool | None = None, after: int | None = None, page: int = PAGE
) -> Call[Page[Run]]:
    """The last run of each variant of a job that was begun, by position, without activations.

    :param failed: only those that failed, or only the others.
    :param after: begin behind the variant at this position.
    """
    query = {"failed": failed, "after": after, "limit": page}
    return Call(
        method="GET", path=path_of("jobs", job_id, "runs"), read=reads(Page[Run]), query=query
    )


def job_results(job_id: str, *, after: int | None = None, page: int = PAGE) -> Call[Page[Attempt]]:
    """The attempts that are results of a job, by position of their variants.

    :param after: begin behind the variant at this position.
    """
    query = {"after": after, "limit": page}
    path = path_of("jobs", job_id, "results")
    return Call(method="GET", path=path, read=reads(Page[Attempt]), query=query)


def run(run_id: str) -> Call[Run]:
    """One run, with its activations."""
    return Call(method="GET", path=path_of("runs", run_id), read=reads(Run))


def attempts(after: int = 0, job: str | None = None, *, page: int = PAGE) -> Call[Page[Attempt]]:
    """The attempts that have ended, in the order in which they were kept.

    :param after: begin behind this sequence number.
    :param job: only those of this job.
    """
    query = {"after": after, "job": job, "limit": page}
    return Call(method="GET", path="attempts", read=reads(Page[Attempt]), query=query)


def results(
    *,
    format: str = "jsonl",
    job: str | None = None,
    labels: Mapping[str, str] | None = None,
    target: str | None = None,
    failure: str | None = None,
    since: float | None = None,
    until: float | None = None,
) -> Call[httpx.Response]:
    """Results of all jobs, as a file.

    :param format: csv, jsonl or parquet.
    :param job: only of this job.
    :param labels: only of jobs that have all of these.
    :param target: only those of this machine or board.
    :param failure: ok: only results; any: only failed attempts; or task, guest, machine,
        infrastructure: only those that failed so.
    :param since: only those that began at this time or later, in seconds since the epoch.
    :param until: only those that began before it.
    """
    query = {
        "format": format,
        "job": job,
        "label": label_query(labels),
        "target": target,
        "failure": failure,
        "since": since,
        "until": until,
    }
    return Call(method="GET", path="results", read=lambda response: response, query=query)

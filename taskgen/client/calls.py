"""Each call of the API, described once; :mod:`taskgen.client.api` makes methods of them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from taskgen.client.call import Call, nothing, reads, text
from taskgen.errors import ConfigError
from taskgen.resources import (
    Attempt,
    Fleet,
    FleetChange,
    Health,
    Host,
    Job,
    JobChange,
    Lease,
    Machine,
    NewJob,
    Page,
    Run,
    Status,
)
from taskgen.taskset import TaskSet

#: Items of a list that are asked for at once.
PAGE = 200


def _path(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


# The daemon.


def status() -> Call[Status]:
    """The daemon at a glance."""
    return Call(method="GET", path="status", read=reads(Status))


def health() -> Call[Health]:
    """Whether the daemon can do its work."""
    return Call(method="GET", path="health", read=reads(Health), expected=frozenset({503}))


def config() -> Call[dict[str, Any]]:
    """The settings that the daemon works with."""
    return Call(method="GET", path="config", read=reads(dict[str, Any]))


def metrics() -> Call[str]:
    """The daemon's numbers, as Prometheus reads them."""
    return Call(method="GET", path="/metrics", read=text)


# The fleet.


def fleet() -> Call[Fleet]:
    """The machines that the daemon launches, and their limits."""
    return Call(method="GET", path="fleet", read=reads(Fleet))


def change_fleet(change: FleetChange) -> Call[Fleet]:
    """Change the limits of the fleet."""
    body = change.model_dump(exclude_unset=True)
    return Call(method="PATCH", path="fleet", read=reads(Fleet), body=body)


def set_max_machines(number: int) -> Call[Fleet]:
    """Launch so many machines at most. More than fit is kept as a wish.

    :raises ConfigError: if it is not a number that a fleet can have.
    """
    try:
        return change_fleet(FleetChange(max_machines=number))
    except ValidationError as error:
        raise _told(error) from error


def pause() -> Call[Fleet]:
    """Begin no run, and launch no machine, until :meth:`resume`."""
    return change_fleet(FleetChange(paused=True))


def resume() -> Call[Fleet]:
    """Launch machines and begin runs again."""
    return change_fleet(FleetChange(paused=False))


def machines(*, page: int = PAGE) -> Call[Page[Machine]]:
    """The machines of the fleet.

    :param page: how many are asked for at once.
    """
    return Call(method="GET", path="machines", read=reads(Page[Machine]), query={"limit": page})


def machine(name: str) -> Call[Machine]:
    """One machine."""
    return Call(method="GET", path=_path("machines", name), read=reads(Machine))


def _to_machine(name: str, action: str) -> Call[Machine]:
    # Not repeatable: the machine that answers the second time may be another one.
    return Call(
        method="POST",
        path=_path("machines", name, action),
        read=reads(Machine),
        repeatable=False,
    )


def restart_machine(name: str) -> Call[Machine]:
    """Launch a machine anew; its run goes back to the queue."""
    return _to_machine(name, "restart")


def drain_machine(name: str) -> Call[Machine]:
    """Let a machine finish its run and go; its slot stays empty until it is restarted."""
    return _to_machine(name, "drain")


def kill_machine(name: str) -> Call[Machine]:
    """End a machine now; its run goes back to the queue, and another one may take its slot."""
    return _to_machine(name, "kill")


def machine_log(name: str, *, lines: int | None = None) -> Call[str]:
    """What a machine's console has printed.

    :param lines: only so many last ones; default: the daemon's choice.
    """
    return Call(
        method="GET", path=_path("machines", name, "log"), read=text, query={"lines": lines}
    )


def hosts(*, page: int = PAGE) -> Call[Page[Host]]:
    """The addresses in which the daemon looks for boards, as far as they were ever reached."""
    return Call(method="GET", path="hosts", read=reads(Page[Host]), query={"limit": page})


def leases(*, page: int = PAGE) -> Call[Page[Lease]]:
    """The addresses that the DHCP server gave away."""
    return Call(method="GET", path="leases", read=reads(Page[Lease]), query={"limit": page})


# Jobs.


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
        return NewJob(document=job.to_document(), **options)
    except ValidationError as error:
        raise _told(error) from error


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
    query = {"state": state, "label": _labels(labels), "after": after, "limit": page}
    return Call(method="GET", path="jobs", read=reads(Page[Job]), query=query)


def job(job_id: str) -> Call[Job]:
    """One job.

    :raises UnknownJobError: if there is no such job.
    """
    return Call(method="GET", path=_path("jobs", job_id), read=reads(Job))


def change_job(job_id: str, change: JobChange) -> Call[Job]:
    """Change a job that has not ended."""
    body = change.model_dump(exclude_unset=True)
    return Call(method="PATCH", path=_path("jobs", job_id), read=reads(Job), body=body)


def delete_job(job_id: str) -> Call[None]:
    """Forget a job that has ended, with all that came of it."""
    return Call(method="DELETE", path=_path("jobs", job_id), read=nothing)


def _to_job(job_id: str, action: str) -> Call[Job]:
    return Call(method="POST", path=_path("jobs", job_id, action), read=reads(Job))


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
    return Call(method="GET", path=_path("jobs", job_id, "document"), read=reads(dict[str, Any]))


def runs(
    job_id: str, *, failed: bool | None = None, after: str | None = None, page: int = PAGE
) -> Call[Page[Run]]:
    """The runs of a job that were begun, by position.

    :param failed: only those that failed, or only the others.
    """
    query = {"failed": failed, "after": after, "limit": page}
    return Call(
        method="GET", path=_path("jobs", job_id, "runs"), read=reads(Page[Run]), query=query
    )


def run(run_id: str) -> Call[Run]:
    """One run, with its activations."""
    return Call(method="GET", path=_path("runs", run_id), read=reads(Run))


def attempts(after: int = 0, job: str | None = None, *, page: int = PAGE) -> Call[Page[Attempt]]:
    """The attempts that have ended, in the order in which they were kept.

    :param after: begin behind this sequence number.
    :param job: only those of this job.
    """
    query = {"after": after, "job": job, "limit": page}
    return Call(method="GET", path="attempts", read=reads(Page[Attempt]), query=query)


# Task binaries.


def has_binary(sha256: str) -> Call[bool]:
    """Whether the daemon has the task binary with this content."""
    return Call(
        method="HEAD",
        path=_path("binaries", sha256),
        read=lambda response: response.is_success,
        expected=frozenset({404}),
    )


def put_binary(sha256: str, content: bytes) -> Call[None]:
    """Give the daemon a task binary.

    :raises BinaryError: if it is no program that a target could run.
    """
    return Call(
        method="PUT",
        path=_path("binaries", sha256),
        read=nothing,
        content=content,
        headers={"Content-Type": "application/octet-stream"},
    )


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
    :param failure: only attempts that failed in this way.
    :param since: only those that began at this time or later, in seconds since the epoch.
    :param until: only those that began before it.
    """
    query = {
        "format": format,
        "job": job,
        "label": _labels(labels),
        "target": target,
        "failure": failure,
        "since": since,
        "until": until,
    }
    return Call(method="GET", path="results", read=lambda response: response, query=query)


def read_binary(path: str | os.PathLike[str]) -> bytes:
    """The content of a task binary.

    :raises ConfigError: if it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _labels(labels: Mapping[str, str] | None) -> list[str]:
    return [f"{name}={value}" for name, value in (labels or {}).items()]


def _told(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return ConfigError(f"{key}: there is no such option")
    return ConfigError(f"{key} = {first['input']!r}: {first['msg']}")

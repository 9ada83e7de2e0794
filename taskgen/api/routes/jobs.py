"""Jobs: added, looked at, changed, forgotten."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, HTTPException, Query, Response

from taskgen.api import convert
from taskgen.api.body import StrictRouter
from taskgen.api.context import Context, Here
from taskgen.api.new_job import fingerprint, spec_of
from taskgen.api.paging import AfterNumber, Labels, Limit, labels_of, page_of
from taskgen.api.problems import described
from taskgen.queue import JobState
from taskgen.resources import Job, JobChange, NewJob, Page

router = StrictRouter(prefix="/jobs", tags=["jobs"])


@router.get("", responses=described(422))
async def list_jobs(
    here: Here,
    state: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
    label: Labels = None,
    after: AfterNumber = 0,
    limit: Limit = 100,
) -> Page[Job]:
    """The jobs, oldest first."""
    found = await here.service.queue.jobs(
        state=state, labels=labels_of(label), after=after, limit=limit + 1
    )
    return page_of([convert.job(info) for info in found], limit, lambda each: each.number)


@router.post(
    "",
    status_code=201,
    responses=described(
        400,
        409,
        413,
        422,
        503,
        also={
            200: {"model": Job, "description": "The key has made this job before."},
            201: {
                "headers": {"Location": {"schema": {"type": "string"}, "description": "The job."}}
            },
        },
    ),
)
async def add_job(
    here: Here,
    new: NewJob,
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=256,
            description="The same key with the same request makes one job, however often it comes.",
        ),
    ] = None,
) -> Job:
    """Queue all variants of a task-set. The job is on the disk when this is answered."""
    key, request = idempotency_key, fingerprint(new)
    known = None if key is None else await here.service.queue.added_with(key, request)
    if known is not None:
        response.status_code = 200
    job_id = known or await here.service.add_job(
        await spec_of(new, here.settings()), paused=new.paused, key=key, request=request
    )
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    return await _job(here, job_id)


@router.get("/{id}", responses=described(404))
async def show_job(here: Here, id: str) -> Job:
    """One job."""
    return await _job(here, id)


@router.patch("/{id}", responses=described(400, 404, 409, 413, 422, 503))
async def change_job(here: Here, id: str, change: JobChange) -> Job:
    """Change a job that has not ended."""
    if change.priority is not None or change.name is not None:
        await here.service.queue.change(id, priority=change.priority, name=change.name)
    return await _job(here, id)


@router.delete("/{id}", status_code=204, responses=described(404, 409, 503))
async def delete_job(here: Here, id: str) -> None:
    """Forget a job that has ended, with all that came of it."""
    await here.service.queue.delete(id)


@router.post("/{id}/cancel", responses=described(404, 503))
async def cancel_job(here: Here, id: str) -> Job:
    """Give up what is left of a job; what runs of it is stopped, its results are kept."""
    await here.service.stop_job(id, "the job was cancelled")
    return await _job(here, id)


@router.post("/{id}/pause", responses=described(404, 409, 503))
async def pause_job(here: Here, id: str) -> Job:
    """Begin no further run of a job; those that run go on."""
    await here.service.queue.pause(id)
    return await _job(here, id)


@router.post("/{id}/resume", responses=described(404, 409, 503))
async def resume_job(here: Here, id: str) -> Job:
    """Go on with a job that was paused."""
    await here.service.queue.resume(id)
    return await _job(here, id)


@router.post("/{id}/retry-bad", responses=described(404, 409, 422, 503))
async def retry_bad(here: Here, id: str) -> Job:
    """Give the variants that were given up their tries again."""
    await here.service.queue.retry_bad(id)
    return await _job(here, id)


@router.get("/{id}/document", responses=described(404))
async def job_document(here: Here, id: str) -> dict[str, Any]:
    """The document of a job's task-set."""
    document = await here.service.queue.document(id)
    if document is None:
        raise HTTPException(404, f"job {id}: no document can hold its task-set")
    return document


async def _job(context: Context, job_id: str) -> Job:
    return convert.job(await context.service.queue.job(job_id))

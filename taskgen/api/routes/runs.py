"""Runs, and the attempts that came of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from taskgen.api import convert
from taskgen.api.body import StrictRouter
from taskgen.api.context import Here
from taskgen.api.paging import MAX_NUMBER, AfterNumber, Limit
from taskgen.api.problems import described
from taskgen.resources import Attempt, AttemptPage, Page, Run

router = StrictRouter(tags=["runs"])


@router.get("/jobs/{id}/runs", responses=described(404, 422))
async def list_runs(
    here: Here,
    id: str,
    failed: Annotated[
        bool | None, Query(description="Only those that failed, or only the others.")
    ] = None,
    after: Annotated[
        int, Query(ge=-1, le=MAX_NUMBER, description="Begin behind the run at this position.")
    ] = -1,
    limit: Limit = 100,
) -> Page[Run]:
    """The latest run of each variant that was begun, by position, without activations."""
    found = await here.service.queue.runs(id, after=after, limit=limit + 1, failed=failed)
    items = [convert.run(each, details=False) for each in found[:limit]]
    return Page(items=items, next=str(items[-1].position) if len(found) > limit else None)


@router.get("/jobs/{id}/results", responses=described(404, 422))
async def list_results(
    here: Here,
    id: str,
    after: Annotated[
        int, Query(ge=-1, le=MAX_NUMBER, description="Begin behind the variant at this position.")
    ] = -1,
    limit: Limit = 100,
) -> Page[Attempt]:
    """The attempts that are results of a job, by position, with their activations."""
    found, more = await here.service.queue.results_page(id, after=after, limit=limit)
    items = [convert.attempt(each) for each in found]
    return Page(items=items, next=str(items[-1].position) if more and items else None)


@router.get("/runs/{id}", responses=described(404))
async def show_run(here: Here, id: str) -> Run:
    """One run, with its activations."""
    return convert.run(await here.service.queue.attempt(id))


@router.get("/attempts", responses=described(404, 422))
async def list_attempts(
    here: Here,
    after: AfterNumber = 0,
    job: Annotated[str | None, Query(max_length=256, description="Only those of this job.")] = None,
    limit: Limit = 100,
) -> AttemptPage:
    """The attempts that have ended, in the order in which they were kept.

    Go on with `after` = the last page's `sequence`, and nothing is missed, whatever happens in
    between. A page may be empty and have a `next` all the same: there may be more behind it.
    """
    found, sequence = await here.service.queue.attempts_feed(after, job=job, limit=limit)
    return AttemptPage(
        items=[convert.attempt(each) for each in found],
        next=str(sequence) if sequence > after else None,
        sequence=sequence,
    )

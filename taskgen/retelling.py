"""Telling a handler what it was not there for."""

from __future__ import annotations

from taskgen.audience import Audience
from taskgen.events.handler import EventHandler
from taskgen.interfaces import Run
from taskgen.queue import Attempt, JobInfo, JobQueue

#: Results that are told before the handlers are waited for: a long past must not crowd out the
#: present.
AT_ONCE = 200


async def retell(queue: JobQueue, audience: Audience, job_id: str, handler: EventHandler) -> None:
    """Tell a handler all that is kept of a job, and from now on what becomes of the rest.

    So that nothing is missed after a crash, something may be told twice: run ids tell.

    :raises UnknownJobError: if there is no such job.
    """
    info = await queue.job(job_id)
    dispatcher = audience.add(job_id, handler)
    number = 0
    async for run in queue.result_runs(job_id):
        dispatcher.on_finish(run)
        number += 1
        if number % AT_ONCE == 0:
            await audience.told()
    after = -1
    while positions := await queue.bad(job_id, after=after):
        for position in positions:
            attempts = await queue.attempts_at(job_id, position)
            run = await _as_run(queue, info, attempts[-1])
            dispatcher.on_bad(run, [attempt.outcome for attempt in attempts])
        after = positions[-1]


async def _as_run(queue: JobQueue, info: JobInfo, attempt: Attempt) -> Run:
    return Run(
        id=attempt.run_id,
        job_id=info.id,
        variant=await queue.variant(info.id, attempt.position),
        attempt=attempt.attempt,
        settings=info.settings,
        profile=info.profile,
        provenance=info.provenance,
        binaries=info.binaries,
        outcome=attempt.outcome,
    )

"""What the queue's database tells: jobs, and what came of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from taskgen.errors import UnknownJobError
from taskgen.interfaces import Run, Variant
from taskgen.queue import rows
from taskgen.queue.committer import Committer
from taskgen.queue.recovery import work_of
from taskgen.queue.values import Attempt, JobInfo
from taskgen.queue.work import Claim, Work

#: Rows that are read at once.
PAGE = 500


class History:
    """The part of a queue that only reads. What was wanted before is in the database by then."""

    _committer: Committer
    _works: dict[str, Work]

    async def job(self, job_id: str) -> JobInfo:
        """A job as it is now.

        :raises UnknownJobError: if there is no such job.
        """
        return self._info(await self._row(job_id))

    async def jobs(self, *, after: int = 0, limit: int = PAGE) -> list[JobInfo]:
        """Jobs in the order in which they were added.

        :param after: begin behind the job with this number.
        """
        return [self._info(row) for row in await self._committer.read("jobs", (after, limit))]

    async def results(self, job_id: str, *, after: int = -1) -> AsyncIterator[Attempt]:
        """The attempts that are a job's results, by position; read page by page.

        :param after: begin behind the variant at this position.
        :raises UnknownJobError: if there is no such job.
        """
        number = (await self._row(job_id))["number"]
        while page := await self._committer.read("results_of", (number, after, PAGE)):
            for row in page:
                yield rows.attempt_of(row)
            after = page[-1]["position"]

    async def result_runs(self, job_id: str, *, after: int = -1) -> AsyncIterator[Run]:
        """The results of a job as the runs that they were, for handlers that have missed some.

        Parameters as :meth:`results`, and raises as that does.

        :raises TaskSetError: if the job's task-set cannot give its variants (any more).
        """
        work = await self._rebuilt(job_id)
        async for attempt in self.results(job_id, after=after):
            claim = Claim(work, attempt.position, attempt.attempt)
            claim.variant = work.variant(attempt.position)
            yield replace(work.run(claim), outcome=attempt.outcome)

    async def attempts(self, *, after: int = 0) -> AsyncIterator[Attempt]:
        """All attempts of all jobs, in the order in which they were kept, up to now.

        :param after: begin behind the attempt with this sequence number.
        """
        while page := await self._committer.read("attempts_after", (after, PAGE)):
            for row in page:
                yield rows.attempt_of(row)
            after = page[-1]["id"]

    async def attempts_at(self, job_id: str, position: int) -> list[Attempt]:
        """The attempts at one variant that have ended, the first one first.

        :raises UnknownJobError: if there is no such job.
        """
        place = {"job": (await self._row(job_id))["number"], "position": position}
        return [rows.attempt_of(row) for row in await self._committer.read("attempts_at", place)]

    async def bad(self, job_id: str, *, after: int = -1, limit: int = PAGE) -> list[int]:
        """Positions of the variants that are set aside; :meth:`attempts_at` tells why.

        :raises UnknownJobError: if there is no such job.
        """
        number = (await self._row(job_id))["number"]
        return [
            row["position"] for row in await self._committer.read("bad_of", (number, after, limit))
        ]

    async def variant(self, job_id: str, position: int) -> Variant:
        """A variant of a job.

        :raises TaskSetError: if its task-set cannot give it (any more).
        :raises UnknownJobError: if there is no such job.
        """
        return (await self._rebuilt(job_id)).variant(position)

    async def _rebuilt(self, job_id: str) -> Work:
        """A job with its variants, as far as it can still have them."""
        work = self._works.get(job_id)
        return work_of(await self._row(job_id)) if work is None or work.source is None else work

    async def _row(self, job_id: str) -> rows.Row:
        found = await self._committer.read("job", (job_id,))
        if not found:
            raise UnknownJobError(f"job {job_id}: there is no such job")
        return found[0]

    def _info(self, row: rows.Row) -> JobInfo:
        work = self._works.get(row["id"])
        return rows.job_info(row, work.running if work else 0)

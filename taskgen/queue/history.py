"""What the queue's database tells: jobs, and what came of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from taskgen.errors import UnknownJobError
from taskgen.interfaces import Run, Variant
from taskgen.queue import rows
from taskgen.queue.committer import Committer
from taskgen.queue.feed import following, results_behind
from taskgen.queue.reader import Reader
from taskgen.queue.recovery import work_of
from taskgen.queue.runs import begun, run_of
from taskgen.queue.values import Attempt, JobInfo, JobState, RunInfo
from taskgen.queue.work import Claim, Work

#: Rows that are read at once.
PAGE = 500


class History:
    """The part of a queue that only reads.

    All that was acknowledged before a call is seen by it. Nobody who writes waits for it.
    """

    _committer: Committer
    _reader: Reader
    _works: dict[str, Work]

    async def job(self, job_id: str) -> JobInfo:
        """A job as it is now.

        :raises UnknownJobError: if there is no such job.
        """
        found = await self._read("job_info", (job_id,))
        if not found:
            raise _unknown(job_id)
        return self._info(found[0])

    async def jobs(
        self,
        *,
        state: JobState | None = None,
        labels: Mapping[str, str] | None = None,
        after: int = 0,
        limit: int = PAGE,
    ) -> list[JobInfo]:
        """Jobs in the order in which they were added.

        :param state: only those in this state, as it is on the disk: one that has just changed it
            may be missing, or be told with its new one.
        :param labels: only those that have all of these, with these values.
        :param after: begin behind the job with this number.
        """
        wanted = {
            "state": state,
            "labels": json.dumps(dict(labels or {})),
            "after": after,
            "limit": limit,
        }
        return [self._info(row) for row in await self._read("jobs", wanted)]

    async def document(self, job_id: str) -> dict[str, Any] | None:
        """The document of a job's task-set; ``None`` if none can hold it.

        :raises UnknownJobError: if there is no such job.
        """
        found = await self._read("document_of", (job_id,))
        if not found:
            raise _unknown(job_id)
        text = found[0]["document"]
        return None if text is None else json.loads(text)

    async def results(self, job_id: str, *, after: int = -1) -> AsyncIterator[Attempt]:
        """The attempts that are a job's results, by position; read page by page.

        :param after: begin behind the variant at this position.
        :raises UnknownJobError: if there is no such job.
        """
        number = (await self.job(job_id)).number
        while page := await self._read("results_of", (number, after, PAGE)):
            for row in page:
                yield rows.attempt_of(row)
            after = page[-1]["position"]

    async def results_page(
        self, job_id: str, *, after: int = -1, limit: int = PAGE
    ) -> tuple[list[Attempt], bool]:
        """A bounded part of a job's results, by position, read beside all other work.

        :param after: begin behind the variant at this position.
        :returns: the results, and whether there may be more.
        :raises UnknownJobError: if there is no such job.
        """
        self._committer.check()
        return await self._reader.call(
            lambda reading: results_behind(reading, job_id, after, limit)
        )

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
        while page := await self._read("attempts_after", (after, PAGE)):
            for row in page:
                yield rows.attempt_of(row)
            after = page[-1]["id"]

    async def attempts_feed(
        self, after: int = 0, *, job: str | None = None, limit: int = PAGE, parameters: bool = False
    ) -> tuple[list[Attempt], int]:
        """Attempts in the order in which they were kept, each exactly once for whoever goes on from
        where the last call has come to, also over restarts.

        A call looks at a bounded number of rows, and bytes. So there may be more even if it gives
        nothing, unless where it has come to is ``after`` itself.

        :param after: what the last call has come to; 0: the beginning.
        :param job: only attempts of this one.
        :param limit: so many at most.
        :param parameters: build the variants again to tell their parameters, which takes longer.
        :returns: the attempts, and what to go on from.
        :raises UnknownJobError: if there is no such job.
        """
        self._committer.check()
        return await self._reader.call(
            lambda reading: following(reading, after, job, limit, parameters)
        )

    async def attempts_at(self, job_id: str, position: int) -> list[Attempt]:
        """The attempts at one variant that have ended, the first one first.

        :raises UnknownJobError: if there is no such job.
        """
        place = {"job": (await self.job(job_id)).number, "position": position}
        return [rows.attempt_of(row) for row in await self._read("attempts_at", place)]

    async def runs(
        self, job_id: str, *, after: int = -1, limit: int = PAGE, failed: bool | None = None
    ) -> list[RunInfo]:
        """The last run at each variant of a job that was begun, by position; without activations,
        events and console.

        :param after: begin behind the variant at this position.
        :param failed: only of variants with a failed attempt, or only of those without.
        :raises UnknownJobError: if there is no such job.
        """
        self._committer.check()
        return await self._reader.call(lambda reading: begun(reading, job_id, after, limit, failed))

    async def attempt(self, run_id: str) -> RunInfo:
        """A run with all that came of it, and the other attempts at its variant.

        :raises UnknownRunError: if there is no such run, or not yet.
        """
        self._committer.check()
        return await self._reader.call(lambda reading: run_of(reading, run_id))

    async def bad(self, job_id: str, *, after: int = -1, limit: int = PAGE) -> list[int]:
        """Positions of the variants that are set aside; :meth:`attempts_at` tells why.

        :raises UnknownJobError: if there is no such job.
        """
        number = (await self.job(job_id)).number
        return [row["position"] for row in await self._read("bad_of", (number, after, limit))]

    async def binaries_in_use(self) -> set[str]:
        """SHA-256 of all uploaded binaries that a job names, also one that is being added.

        :raises QueueError: if nothing can be written now.
        """
        self._committer.check_room()
        await self._committer.flush()
        return {row["sha256"] for row in await self._read("binaries_in_use")}

    def another_reader(self) -> Reader:
        """Reads the same database, for long work that others need not wait for. To be closed.

        :raises QueueError: if the database cannot be read.
        """
        self._committer.check()
        return self._reader.another()

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
        found = await self._read("job", (job_id,))
        if not found:
            raise _unknown(job_id)
        return found[0]

    async def _read(self, name: str, parameters: Any = ()) -> list[rows.Row]:
        self._committer.check()
        return await self._reader.rows(name, parameters)

    def _info(self, row: rows.Row) -> JobInfo:
        info = rows.job_info(row)
        work = self._works.get(info.id)
        if work is None:
            return info
        # What changes is told by who changes it: row and memory would be of different instants.
        return replace(
            info,
            name=work.spec.name,
            priority=work.spec.priority,
            state=work.state,
            error=work.error,
            counts=work.counts,
            ended_at=work.ended_at,
        )


def _unknown(job_id: str) -> UnknownJobError:
    return UnknownJobError(f"job {job_id}: there is no such job")

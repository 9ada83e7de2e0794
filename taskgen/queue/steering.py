"""What users do to jobs that are there: cancel, pause, resume, try again, change."""

from __future__ import annotations

from dataclasses import replace

from taskgen.errors import StateError, TaskSetError
from taskgen.queue.forgetting import Forgetting
from taskgen.queue.history import PAGE
from taskgen.queue.recovery import work_of
from taskgen.queue.values import ENDED, JobState
from taskgen.queue.work import Claim, Work


class Steering(Forgetting):
    """A queue whose jobs can be steered."""

    async def cancel(self, job_id: str) -> None:
        """Hand out nothing more of a job, for good; what runs is kept if it is settled.

        Of one that has ended, nothing changes.

        :raises UnknownJobError: if there is no such job.
        """
        self._committer.check_room()
        work = self._works.get(job_id)
        if work is None:
            await self._row(job_id)
        elif work.state not in ENDED:
            self._give_up(work, JobState.CANCELLED)
            await self._committer.flush()

    async def pause(self, job_id: str) -> None:
        """Hand out nothing of a job until it is resumed; what runs goes on.

        :raises StateError: if it has ended.
        :raises UnknownJobError: if there is no such job.
        """
        await self._set_state(job_id, JobState.PAUSED)

    async def resume(self, job_id: str) -> None:
        """Hand out runs of a paused job again.

        :raises StateError: if it has ended.
        :raises UnknownJobError: if there is no such job.
        """
        work = await self._not_ended(job_id, "be resumed")
        assert work.source is not None
        begun = work.cursor > work.source.first
        await self._set_state(job_id, JobState.RUNNING if begun else JobState.QUEUED)

    async def retry_bad(self, job_id: str) -> int:
        """Give all variants of a job that were set aside their tries again.

        :returns: how many they are.
        :raises StateError: if the job was cancelled or has failed.
        :raises TaskSetError: if it cannot be resumed, and ended with another process.
        """
        self._committer.check_room()
        number, last = 0, -1
        async with self._retrying:  # of two at once, the second must not find the same ones
            work = self._works.get(job_id) or work_of(await self._row(job_id))
            if work.state in (JobState.CANCELLED, JobState.FAILED):
                raise StateError(
                    f"job {job_id}: its bad variants cannot be run again",
                    state=work.state,
                    required="queued, running, paused or done",
                )
            while page := await self._committer.read("bad_of", (work.number, last, PAGE)):
                if work.source is None:
                    raise TaskSetError(f"job {job_id}: no document holds its task-set")
                last = page[-1]["position"]
                number += len(page)
                for row in page:
                    claim = Claim(work, row["position"], row["attempt"] + 1, row["attempt"] + 1)
                    self._committer.batch.forgiven.add(claim.key)
                    self._keep_waiting(claim)
                    work.waiting.append(claim)
                work.bad -= len(page)
                work.unwritten.bad -= len(page)
                self._reopen(work)
            await self._committer.flush()
        self._notify()
        return number

    async def change(
        self, job_id: str, *, priority: int | None = None, name: str | None = None
    ) -> None:
        """Change a job, all of it or nothing.

        :param priority: counts for what is handed out from now on; ``None``: as it was.
        :param name: ``None``: as it was.
        :raises StateError: if it has ended.
        :raises UnknownJobError: if there is no such job.
        """
        work = await self._not_ended(job_id, "be changed")
        spec = work.spec
        work.spec = replace(
            spec,
            priority=spec.priority if priority is None else priority,
            name=spec.name if name is None else name,
        )
        changed = (work.spec.priority, work.spec.name, work.number)
        self._committer.batch.statements.append(("change_job", changed))
        self._committer.then(lambda: self._has_changed(job_id))
        await self._committer.flush()

    def _reopen(self, work: Work) -> None:
        """Go on with a job that may have ended."""
        if work.state is JobState.DONE:
            work.state, work.ended_at = JobState.RUNNING, None
            work.ended.clear()
        self._works[work.id] = self._open[work.id] = work
        self._touched.add(work)

    async def _set_state(self, job_id: str, state: JobState) -> None:
        work = await self._not_ended(job_id, f"become {state}")
        if state is JobState.PAUSED or work.state is JobState.PAUSED:
            work.state = state
            self._touched.add(work)
            await self._committer.flush()
            self._notify()

    async def _not_ended(self, job_id: str, to_do: str) -> Work:
        """A job that goes on, and that something can be written of.

        :raises StateError: if it has ended.
        :raises UnknownJobError: if there is no such job.
        """
        self._committer.check_room()
        work = self._works.get(job_id)
        state = work.state if work else (await self.job(job_id)).state
        if work is None or state in ENDED:
            raise StateError(
                f"job {job_id} cannot {to_do}", state=state, required="queued, running or paused"
            )
        return work

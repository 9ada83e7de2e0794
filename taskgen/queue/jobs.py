"""The queue: holds jobs, hands out their runs, and keeps what became of them."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from taskgen.errors import StateError, TaskSetError, UnknownJobError
from taskgen.host.waiting import finish, in_thread
from taskgen.interfaces import Counts
from taskgen.provenance import of_taskset
from taskgen.queue import rows
from taskgen.queue.claims import Claims
from taskgen.queue.history import PAGE
from taskgen.queue.recovery import load, work_of
from taskgen.queue.schedule import Order
from taskgen.queue.source import source_of
from taskgen.queue.values import ENDED, JobInfo, JobSpec, JobState, total_of
from taskgen.queue.work import Claim, Work
from taskgen.taskset import TaskSet

log = logging.getLogger(__name__)


class JobQueue(Claims):
    """Made by :meth:`open`. Belongs to one event loop.

    Once something fails to be written, whatever is asked for raises :class:`QueueError`.
    """

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path | None = None,
        *,
        order: Order = Order.FAIR,
        clock: Callable[[], float] = time.time,
        on_stall: Callable[[str | None], object] | None = None,
    ) -> AsyncIterator[JobQueue]:
        """A queue while in the block. What a queue of the same path had not finished goes on.

        :param path: of its database; ``None``: it ends with the block.
        :param order: between jobs of the same priority.
        :param clock: seconds since the epoch.
        :param on_stall: see :class:`taskgen.queue.committer.Committer`.
        :raises QueueError: if the database cannot be used, or another engine uses it.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="queue") as thread:
            database, works, last = await in_thread(
                thread, load, path, undo=lambda loaded: loaded[0].close()
            )
            try:
                queue = cls(
                    database, thread, works, last, order=order, clock=clock, on_stall=on_stall
                )
                try:
                    yield queue
                finally:
                    await queue._committer.close()
            finally:
                await finish(in_thread(thread, database.close))

    @property
    def counts(self) -> Counts:
        """How far all jobs are that were open when the queue was opened, or were added since."""
        return total_of([work.counts for work in self._works.values()])

    @property
    def backlog(self) -> int:
        """Runs that are not through and need a target, as far as they can be counted."""
        return sum(work.backlog for work in self._open.values())

    def backlog_for(self, profile: str) -> int:
        """The part of the backlog that targets of a profile can take: while the queue hands nothing
        out, what they have."""
        works = [work for work in self._open.values() if work.spec.profile in (None, profile)]
        return sum(work.running if self.held else work.backlog for work in works)

    def job_counts(self, job_id: str) -> Counts:
        """How far a job is that was open when the queue was opened, or was added since.

        :raises UnknownJobError: if there is no such job; :meth:`job` knows the older ones too.
        """
        return self._work(job_id).counts

    @property
    def transactions(self) -> int:
        """How often something was written."""
        return self._committer.transactions

    async def add(self, spec: JobSpec, *, job_id: str | None = None, paused: bool = False) -> str:
        """Queue all variants of a job; it takes as long for one as for 10**12.

        :param job_id: default: a new one; see :func:`new_job_id`.
        :param paused: hand out nothing of it until it is resumed.
        :returns: the job's id. The job is on the disk then.
        :raises TaskSetError: if the task-set is not valid.
        """
        self._committer.check_room()
        source = source_of(spec)
        document = _document(spec.taskset)
        if isinstance(spec.taskset, TaskSet):
            spec = replace(
                spec,
                name=spec.name or spec.taskset.name,
                provenance=of_taskset(spec.taskset) if spec.provenance is None else spec.provenance,
            )
        if document is None and self._kept:
            log.warning("job %s cannot be resumed: no document holds its task-set", spec.name)
        self._last_number += 1
        work = Work(
            number=self._last_number,
            id=job_id or new_job_id(),
            spec=spec,
            resumable=document is not None,
            source=source,
            state=JobState.PAUSED if paused else JobState.QUEUED,
            cursor=source.first,
            total=source.total,
        )
        if work.id in self._works:
            raise ValueError(f"job id {work.id!r} is in use")
        self._committer.batch.statements.append(("add_job", _row(work, document, self._clock())))
        self._committer.then(lambda: self._added(work))
        await self._committer.flush()
        return work.id

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
        """
        await self._set_state(job_id, JobState.PAUSED)

    async def resume(self, job_id: str) -> None:
        """Hand out runs of a paused job again.

        :raises StateError: if it has ended.
        """
        work = self._work(job_id)
        assert work.source is not None or work.state in ENDED
        begun = work.source is not None and work.cursor > work.source.first
        await self._set_state(job_id, JobState.RUNNING if begun else JobState.QUEUED)

    async def retry_bad(self, job_id: str) -> int:
        """Give all variants of a job that were set aside their tries again.

        :returns: how many they are.
        :raises StateError: if the job was cancelled or has failed.
        :raises TaskSetError: if it cannot be resumed, and ended with another process.
        """
        self._committer.check_room()
        work = self._works.get(job_id) or work_of(await self._row(job_id))
        if work.state in (JobState.CANCELLED, JobState.FAILED):
            raise StateError(
                f"job {job_id}: its bad variants cannot be run again",
                state=work.state,
                required="queued, running, paused or done",
            )
        number, last = 0, -1
        async with self._retrying:  # of two at once, the second must not find the same ones
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

    async def wait_job(self, job_id: str) -> JobInfo:
        """Wait until a job has ended and none of its runs is on a target.

        :raises UnknownJobError: if there is no such job.
        """
        if job_id in self._works:
            await self._works[job_id].ended.wait()
        return await self.job(job_id)

    def lose_patience(self) -> None:
        """Wait no longer for a disk that cannot be written: what is not kept by now will be run
        again by the next queue. For those who end while the disk is full."""
        self._committer.lose_patience()

    async def prune(self, ended_before: float) -> None:
        """Forget the jobs that ended before that time, with all that came of them.

        :param ended_before: seconds since the epoch.
        """
        self._committer.check_room()
        batch = self._committer.batch
        batch.statements += [("prune", (ended_before,)), ("give_back_space", ())]
        old = [w for w in self._works.values() if w.ended_at and w.ended_at < ended_before]
        for work in old:
            del self._works[work.id]
            self._touched.discard(work)
        await self._committer.flush()

    def _added(self, work: Work) -> None:
        self._works[work.id] = self._open[work.id] = work
        self._end_if_through(work)
        self._news = True

    def _reopen(self, work: Work) -> None:
        """Go on with a job that may have ended."""
        if work.state is JobState.DONE:
            work.state, work.ended_at = JobState.RUNNING, None
            work.ended.clear()
        self._works[work.id] = self._open[work.id] = work
        self._touched.add(work)

    async def _set_state(self, job_id: str, state: JobState) -> None:
        self._committer.check_room()
        work = self._work(job_id)
        if work.state in ENDED:
            raise StateError(
                f"job {job_id} cannot become {state}",
                state=work.state,
                required="queued, running or paused",
            )
        if state is JobState.PAUSED or work.state is JobState.PAUSED:
            work.state = state
            self._touched.add(work)
            await self._committer.flush()
            self._notify()

    def _work(self, job_id: str) -> Work:
        try:
            return self._works[job_id]
        except KeyError:
            raise UnknownJobError(
                f"job {job_id}: there is no such job, or it ended long ago"
            ) from None


def new_job_id() -> str:
    """An id that no other job has, in no other database either: results are put together."""
    return uuid.uuid4().hex[:12]


def _document(taskset: object) -> str | None:
    """The document of a task-set; ``None`` if none can hold it."""
    if not isinstance(taskset, TaskSet) or type(taskset).variants is not TaskSet.variants:
        return None
    try:
        return rows.json_text(taskset.to_document())
    except TaskSetError as error:
        log.debug("embedded only: %s", error)
        return None


def _row(work: Work, document: str | None, added_at: float) -> Mapping[str, Any]:
    spec = work.spec
    return {
        "number": work.number,
        "id": work.id,
        "name": spec.name,
        "labels": json.dumps(dict(spec.labels)),
        "priority": spec.priority,
        "profile": spec.profile,
        "settings": rows.settings_text(spec.settings),
        "tries": spec.tries,
        "document": document,
        "provenance": rows.json_text(spec.provenance or {}),
        "repeat": spec.repeat,
        "first": work.cursor,
        "total": work.total,
        "state": work.state,
        "cursor": work.cursor,
        "added_at": added_at,
    }

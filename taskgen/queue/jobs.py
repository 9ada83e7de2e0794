"""The queue: holds jobs, hands out their runs, and keeps what became of them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from taskgen.errors import StateError, TaskgenError, TaskSetError, UnknownJobError
from taskgen.host.waiting import finish, in_thread
from taskgen.interfaces import Counts, Outcome, Run, Target, Variant
from taskgen.provenance import of_taskset
from taskgen.queue import rows
from taskgen.queue.committer import Committer
from taskgen.queue.database import Batch, Database
from taskgen.queue.recovery import load, work_of
from taskgen.queue.schedule import Order, choose, given_up
from taskgen.queue.source import source_of
from taskgen.queue.values import ENDED, Attempt, JobInfo, JobSpec, JobState, total_of
from taskgen.queue.work import Claim, Unwritten, Work
from taskgen.taskset import TaskSet

log = logging.getLogger(__name__)

#: Rows that are read at once.
PAGE = 500


class JobQueue:
    """Made by :meth:`open`. Belongs to one event loop.

    Once a job fails to be written, whatever is asked for raises :class:`QueueError`.
    """

    def __init__(
        self,
        database: Database,
        thread: ThreadPoolExecutor,
        works: Sequence[Work],
        last: int,
        *,
        order: Order,
        clock: Callable[[], float],
    ) -> None:
        self._committer = Committer(database, thread, self._collect, self._committed)
        self._kept = database.path is not None
        self._order = order
        self._clock = clock
        self._works = {work.id: work for work in works}
        self._open = dict(self._works)  # those that have not ended
        self._last_number = last
        self._claims: dict[str, Claim] = {}  # by the run that was handed out
        self._targets: dict[str, Target] = {}
        self._touched: set[Work] = set()
        self._served = 0
        self._news = False
        self._change = asyncio.Event()
        for work in works:
            if work.state in ENDED:  # it ended while something of it ran, or cannot go on
                work.waiting.clear()
                self._committer.batch.statements.append(("drop_claims", (work.number,)))
            self._end_if_through(work)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path: Path | None = None,
        *,
        order: Order = Order.FAIR,
        clock: Callable[[], float] = time.time,
    ) -> AsyncIterator[JobQueue]:
        """A queue while in the block. What a queue of the same path had not finished goes on.

        :param path: of its database; ``None``: it ends with the block.
        :param order: between jobs of the same priority.
        :param clock: seconds since the epoch.
        :raises QueueError: if the database cannot be used, or another engine uses it.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="queue") as thread:
            database, works, last = await in_thread(
                thread, load, path, undo=lambda loaded: loaded[0].close()
            )
            try:
                queue = cls(database, thread, works, last, order=order, clock=clock)
                try:
                    yield queue
                finally:
                    await queue._committer.close()
            finally:
                await finish(in_thread(thread, database.close))

    # What is in it.

    @property
    def counts(self) -> Counts:
        """How far all jobs are that were open when the queue was opened, or were added since."""
        return total_of([work.counts for work in self._works.values()])

    @property
    def backlog(self) -> int:
        """Runs that are not through and need a target, as far as they can be counted."""
        return sum(work.backlog for work in self._open.values())

    def backlog_for(self, profile: str) -> int:
        """The part of the backlog that targets of a profile can take."""
        return sum(
            work.backlog for work in self._open.values() if work.spec.profile in (None, profile)
        )

    def job_counts(self, job_id: str) -> Counts:
        """How far a job is that was open when the queue was opened, or was added since.

        :raises UnknownJobError: if there is no such job; :meth:`job` knows the older ones too.
        """
        return self._work(job_id).counts

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

    def changed(self) -> Coroutine[Any, Any, None]:
        """Wait until there may be something new to claim, or nothing more to wait for.

        What happens between the call and the awaiting counts.
        """
        return _happened(self._change)

    # Jobs.

    async def add(self, spec: JobSpec, *, job_id: str | None = None) -> str:
        """Queue all variants of a job; it takes as long for one as for 10**12.

        :param job_id: default: a new one; see :func:`new_job_id`.
        :returns: the job's id. The job is on the disk then.
        :raises TaskSetError: if the task-set is not valid.
        """
        self._committer.check()
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
            state=JobState.QUEUED,
            cursor=source.first,
            total=source.total,
        )
        if work.id in self._works:
            raise ValueError(f"job id {work.id!r} is in use")
        self._committer.batch.statements.append(("add_job", _row(work, document, self._clock())))
        self._committer.then(lambda: self._added(work))
        await self._committer.durable()
        return work.id

    async def cancel(self, job_id: str) -> None:
        """Hand out nothing more of a job, for good; what runs is kept if it is settled.

        Of one that has ended, nothing changes.

        :raises UnknownJobError: if there is no such job.
        """
        work = self._works.get(job_id)
        if work is None:
            await self._row(job_id)
        elif work.state not in ENDED:
            self._give_up(work, JobState.CANCELLED)
            await self._committer.durable()

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
        """
        work = self._works.get(job_id) or work_of(await self._row(job_id))
        if work.state in (JobState.CANCELLED, JobState.FAILED) or work.source is None:
            raise StateError(
                f"job {job_id}: its bad variants cannot be run again",
                state=work.state if work.source else "without a task-set",
                required="queued, running, paused or done",
            )
        number, last, batch_of = 0, -1, self._committer
        while page := await batch_of.read("bad_of", (work.number, last, PAGE)):
            last = page[-1]["position"]
            for row in page:
                claim = Claim(work, row["position"], row["attempt"] + 1, row["attempt"] + 1)
                batch_of.batch.forgiven.add(claim.key)
                self._keep_waiting(claim)
                work.waiting.append(claim)
            number += len(page)
            work.bad -= len(page)
            work.unwritten.bad -= len(page)
            self._reopen(work)
        await self._committer.durable()
        self._notify()
        return number

    async def wait_job(self, job_id: str) -> JobInfo:
        """Wait until a job has ended and none of its runs is on a target.

        :raises UnknownJobError: if there is no such job.
        """
        if job_id in self._works:
            await self._works[job_id].ended.wait()
        return await self.job(job_id)

    async def prune(self, ended_before: float) -> None:
        """Forget the jobs that ended before that time, with all that came of them.

        :param ended_before: seconds since the epoch.
        """
        batch = self._committer.batch
        batch.statements += [("prune", (ended_before,)), ("give_back_space", ())]
        old = [w for w in self._works.values() if w.ended_at and w.ended_at < ended_before]
        for work in old:
            del self._works[work.id]
            self._touched.discard(work)
        await self._committer.durable()

    # Results.

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
        work = self._works.get(job_id)
        if work is None or work.source is None:
            work = work_of(await self._row(job_id))
        if work.source is None:
            raise TaskSetError(f"job {job_id}: no document holds its task-set")
        return work.source.at(position)

    # For the engine.

    def join(self, target: Target) -> None:
        """A target takes runs from now on; each :meth:`join` needs its :meth:`leave`."""
        self._targets[target.name] = target

    def leave(self, target: Target) -> None:
        """A target takes no more runs."""
        self._targets.pop(target.name, None)
        if any(work.waiting for work in self._open.values()):
            self._notify()  # what only it could have had may now be had by another

    async def claim(self, target: Target) -> Run | None:
        """The next run that fits ``target``; ``None`` if there is none now.

        It is in the database before its outcome, or with it.
        """
        self._committer.check()
        while (choice := self._choose(target)) is not None:
            work, others = choice
            try:
                claim = work.take(target.name, others)
            except TaskgenError as error:
                log.error("job %s ends here: %s", work.id, error)
                self._give_up(work, JobState.FAILED, str(error))
                continue
            if claim is None:
                self._end_if_through(work)
            else:
                return self._hand_out(claim, target)
        return None

    async def settle(self, run: Run) -> Sequence[Outcome]:
        """Keep ``run.outcome`` and release the claim; returns once both are on the disk.

        :returns: if the variant was thereby set aside, the outcomes of its attempts; else nothing.
        :raises KeyError: if the run is not claimed, or was settled already.
        """
        self._committer.check()
        outcome = run.outcome
        assert outcome is not None
        claim = self._claims.pop(run.id)
        work, batch = claim.work, self._committer.batch
        batch.attempts.append((work.number, claim.position, run, not work.resumable))
        attempts: tuple[Outcome, ...] = ()
        if outcome.failure is None:
            self._release(claim)
            work.unwritten.done += 1
            self._committer.then(lambda: self._settled(work))
        else:
            claim.failures.append(outcome)
            work.unwritten.failed_attempts += 1
            if given_up([each.failure for each in claim.failures], work.spec.tries):
                attempts = tuple(claim.failures)
                self._release(claim)
                batch.bad.append((*claim.key, claim.attempt))
                work.unwritten.bad += 1
            else:
                claim.attempt += 1
                self._keep_waiting(claim)
            self._committer.then(lambda: self._failed(claim, bool(attempts)))
        self._touched.add(work)
        await self._committer.durable()
        return attempts

    async def push_back(self, run: Run) -> None:
        """Release the claim on a run that was not carried out; it is claimed next.

        :raises KeyError: if the run is not claimed, or was settled.
        """
        claim = self._claims.pop(run.id)
        claim.work.running -= 1
        self._wait(claim, first=True)
        self._committer.later()
        self._notify()

    # Inside.

    def _choose(self, target: Target) -> tuple[Work, list[str]] | None:
        """A job that may have something for ``target``, and the other targets that it could use."""
        offers = {}
        for work in self._open.values():
            profile = work.spec.profile
            if profile not in (None, target.profile):
                continue
            others = self._others(target, profile) if work.waiting else []
            if work.offers(target.name, others):
                offers[work.number] = work, others
        if len(offers) < 2:
            return next(iter(offers.values()), None)
        best = choose((work.candidate for work, _ in offers.values()), self._order)
        return None if best is None else offers[best.number]

    def _others(self, target: Target, profile: str | None) -> list[str]:
        return [
            other.name
            for other in self._targets.values()
            if other.name != target.name and profile in (None, other.profile)
        ]

    def _hand_out(self, claim: Claim, target: Target) -> Run:
        work = claim.work
        run = work.run(claim)
        self._claims[run.id] = claim
        work.running += 1
        self._served += 1
        work.served = self._served
        if work.state is JobState.QUEUED:
            work.state = JobState.RUNNING
        key = claim.key
        self._committer.batch.claims[key] = (claim.attempt, claim.counts_from, target.name)
        self._touched.add(work)
        self._committer.later()
        return run

    def _release(self, claim: Claim) -> None:
        batch = self._committer.batch
        batch.claims.pop(claim.key, None)
        batch.released.add(claim.key)

    def _keep_waiting(self, claim: Claim) -> None:
        self._committer.batch.claims[claim.key] = (claim.attempt, claim.counts_from, None)

    def _wait(self, claim: Claim, *, first: bool) -> None:
        """Let a claim wait for a target, unless its job has ended."""
        work = claim.work
        if work.state in ENDED:
            self._release(claim)
            self._end_if_through(work)
        elif first:
            self._keep_waiting(claim)
            work.waiting.appendleft(claim)
        else:
            work.waiting.append(claim)

    def _added(self, work: Work) -> None:
        self._works[work.id] = self._open[work.id] = work
        self._end_if_through(work)
        self._news = True

    def _settled(self, work: Work) -> None:
        work.running -= 1
        work.done += 1
        if work.exhausted:
            self._end_if_through(work)
            self._news = True

    def _failed(self, claim: Claim, given_up: bool) -> None:
        work = claim.work
        work.running -= 1
        work.failed_attempts += 1
        if given_up:
            work.bad += 1
            self._end_if_through(work)
        else:
            self._wait(claim, first=False)
        self._news = True

    def _give_up(self, work: Work, state: JobState, error: str = "") -> None:
        """Hand out nothing more of a job."""
        work.state, work.error = state, error
        work.waiting.clear()
        batch = self._committer.batch
        for key in [key for key, claim in batch.claims.items() if key[0] == work.number]:
            if batch.claims[key][2] is None:
                del batch.claims[key]
        batch.statements.append(("drop_waiting", (work.number,)))
        self._touched.add(work)
        self._end_if_through(work)
        self._committer.later()
        self._notify()

    def _end_if_through(self, work: Work) -> None:
        """End a job of which nothing runs and nothing is left."""
        if work.running or work.ended_at is not None:
            return
        if work.state not in ENDED:
            if work.waiting or not work.exhausted:
                return
            work.state, work.total = JobState.DONE, work.done + work.bad
        work.ended_at = self._clock()
        if not work.bad:
            work.source = None  # a task-set can be large
        self._open.pop(work.id, None)
        self._touched.add(work)
        self._committer.later()
        work.ended.set()
        self._notify()

    def _reopen(self, work: Work) -> None:
        """Go on with a job that may have ended."""
        if work.state is JobState.DONE:
            work.state, work.ended_at = JobState.RUNNING, None
            work.ended.clear()
        self._works[work.id] = self._open[work.id] = work
        self._touched.add(work)

    async def _set_state(self, job_id: str, state: JobState) -> None:
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
            await self._committer.durable()
            self._notify()

    def _collect(self, batch: Batch) -> None:
        """What has become of the jobs that the batch is about."""
        for work in self._touched:
            behind, work.unwritten = work.unwritten, Unwritten()
            batch.jobs.append(
                {
                    "number": work.number,
                    "state": work.state,
                    "error": work.error,
                    "total": work.total,
                    "cursor": work.cursor,
                    "ended_at": work.ended_at,
                    "done": behind.done,
                    "bad": behind.bad,
                    "failed_attempts": behind.failed_attempts,
                }
            )
        self._touched.clear()

    def _committed(self) -> None:
        if self._news:
            self._notify()

    def _notify(self) -> None:
        # Whoever waits now is woken; whoever comes later waits for the next change.
        self._news = False
        self._change.set()
        self._change = asyncio.Event()

    def _work(self, job_id: str) -> Work:
        try:
            return self._works[job_id]
        except KeyError:
            raise UnknownJobError(
                f"job {job_id}: there is no such job, or it ended long ago"
            ) from None

    async def _row(self, job_id: str) -> rows.Row:
        found = await self._committer.read("job", (job_id,))
        if not found:
            raise UnknownJobError(f"job {job_id}: there is no such job")
        return found[0]

    def _info(self, row: rows.Row) -> JobInfo:
        work = self._works.get(row["id"])
        return rows.job_info(row, work.running if work else 0)


async def _happened(event: asyncio.Event) -> None:
    await event.wait()


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

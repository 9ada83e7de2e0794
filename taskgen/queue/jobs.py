"""The queue: holds jobs, hands out their runs, and keeps what became of them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from taskgen.errors import KeyReusedError, TaskSetError, UnknownJobError
from taskgen.host.waiting import finish, in_thread
from taskgen.interfaces import Counts
from taskgen.provenance import of_taskset
from taskgen.queue import rows
from taskgen.queue.reader import Reader
from taskgen.queue.recovery import load
from taskgen.queue.source import source_of
from taskgen.queue.steering import Steering
from taskgen.queue.values import JobInfo, JobSpec, JobState, total_of
from taskgen.queue.work import Work
from taskgen.run_settings import Order
from taskgen.taskset import TaskSet

log = logging.getLogger(__name__)


class JobQueue(Steering):
    """Made by :meth:`open`. Belongs to one event loop.

    Once something fails to be written, whatever is asked for raises :class:`QueueError`.
    """

    def __init__(self, *args: Any, **keys: Any) -> None:
        super().__init__(*args, **keys)
        self._adding: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

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
                queue._reader = Reader(database, thread)
                try:
                    if database.unswept:
                        queue._begin_sweeping()
                    yield queue
                finally:
                    await queue._end_sweeping()
                    await queue._reader.close()
                    await queue._committer.close()
            finally:
                await finish(in_thread(thread, database.close))

    @property
    def counts(self) -> Counts:
        """How far all jobs are that were open when the queue was opened, or were added since."""
        return total_of([work.counts for work in self._works.values()])

    @property
    def open_counts(self) -> Counts:
        """How far the jobs are that have not ended, all together."""
        return total_of([work.counts for work in self._open.values()])

    @property
    def open_states(self) -> Counter[str]:
        """How many jobs that have not ended are in which state."""
        return Counter(str(work.state) for work in self._open.values())

    @property
    def last_attempt(self) -> int:
        """The sequence number of the last attempt that was kept."""
        return self._committer.last_attempt

    @property
    def backlog(self) -> int:
        """Runs that are not through and need a target, as far as they can be counted."""
        return sum(work.backlog for work in self._open.values())

    def backlog_for(self, profile: str) -> int:
        """The part of the backlog that targets of a profile can take: while the queue hands nothing
        out, what they have."""
        works = [work for work in self._open.values() if work.spec.profile in (None, profile)]
        return sum(work.running if self.held else work.backlog for work in works)

    @property
    def transactions(self) -> int:
        """How often something was written."""
        return self._committer.transactions

    async def add(
        self,
        spec: JobSpec,
        *,
        job_id: str | None = None,
        paused: bool = False,
        key: str | None = None,
        request: str = "",
    ) -> str:
        """Queue all variants of a job; it takes as long for one as for 10**12.

        :param job_id: default: a new one; see :func:`new_job_id`.
        :param paused: hand out nothing of it until it is resumed.
        :param key: makes it safe to repeat: while there is a job that was added with the same key,
            nothing is added.
        :param request: what tells this request from others, such as a hash; only with a key.
        :returns: the job's id, or that of the one that the key has made. The job is on the disk
            then.
        :raises KeyReusedError: if the key has made a job out of another request.
        :raises TaskSetError: if the task-set is not valid.
        """
        if key is None:
            return await self._add(spec, job_id, paused)
        # Of two at once with the same key, the second finds the job of the first.
        async with self._adding.setdefault(key, asyncio.Lock()):
            known = await self.added_with(key, request)
            return known or await self._add(spec, job_id, paused, key, request)

    async def added_with(self, key: str, request: str = "") -> str | None:
        """The id of the job that a key has made, if there is one.

        :raises KeyReusedError: if it has made a job out of another request.
        """
        for row in await self._read("job_of_key", (key,)):
            if row["request"] != request:
                raise KeyReusedError(key, row["id"])
            return str(row["id"])
        return None

    async def _add(
        self,
        spec: JobSpec,
        job_id: str | None,
        paused: bool,
        key: str | None = None,
        request: str | None = None,
    ) -> str:
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
        row = {
            **_row(work, document, self._clock()),
            "idempotency_key": key,
            "request": request,
        }
        self._committer.batch.statements.append(("add_job", row))
        self._committer.then(lambda: self._added(work))
        await self._committer.flush()
        return work.id

    async def wait_job(self, job_id: str) -> JobInfo:
        """Wait until a job has ended and none of its runs is on a target.

        :raises UnknownJobError: if there is no such job.
        """
        if job_id in self._works:
            await self._works[job_id].ended.wait()
        return await self.job(job_id)

    def check(self) -> None:
        """Say whether all could be kept so far; also when the queue is closed.

        :raises QueueError: if not.
        """
        self._committer.check()

    def lose_patience(self) -> None:
        """Wait no longer for a disk that cannot be written: what is not kept by now will be run
        again by the next queue. For those who end while the disk is full."""
        self._committer.lose_patience()

    def _added(self, work: Work) -> None:
        self._works[work.id] = self._open[work.id] = work
        self._end_if_through(work)
        self._has_changed(work.id)
        self._news = True

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
    if not isinstance(taskset, TaskSet):
        return None
    try:
        return rows.json_text(taskset.whole_document())
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
        "binaries": rows.json_text(spec.binaries),
    }

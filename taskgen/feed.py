"""What a daemon tells of our jobs, over one connection after the other."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from taskgen.client import AsyncClient
from taskgen.client.stream import Position
from taskgen.errors import DaemonUnreachableError, TaskgenError
from taskgen.events.dispatch import Dispatcher
from taskgen.followed_job import FollowedJob
from taskgen.host.waiting import finish
from taskgen.queue.values import ENDED
from taskgen.resources import EventKind, Job, StreamEvent

log = logging.getLogger(__name__)

#: What is listened to, besides single events of runs where a handler wants them.
KINDS = (
    EventKind.RUN_STARTED,
    EventKind.RUN_FINISHED,
    EventKind.RUN_STOPPED,
    EventKind.RUN_BAD,
    EventKind.JOB,
    EventKind.JOB_GONE,
    EventKind.PROBLEM,
)

#: Events of jobs that are just being added, and events that are remembered so that one which comes
#: twice is not told twice.
EARLY, REMEMBERED = 10_000, 1_000


class Watch:
    """Somebody waits for the end of a job. Of its changes the daemon tells only now and then; so
    the runs are counted, not to come late.

    :ivar left: runs that are not through, when the daemon was asked; ``None``: it could not tell.
    """

    def __init__(self) -> None:
        self.left: int | None = None
        self._news = asyncio.Event()

    async def news(self) -> None:
        """Wait until the job may have ended, since this was waited for last."""
        await self._news.wait()
        self._news.clear()

    def wake(self) -> None:
        """It may have ended."""
        self._news.set()

    def one_less(self) -> None:
        """One of its runs is through; a failed one may be run again."""
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                self.wake()


class Feed:
    """Follows jobs while :meth:`running`. Belongs to one event loop.

    :param client: asks the daemon.
    :ivar failure: why it can follow nothing any more.
    """

    failure: BaseException | None = None

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._position = Position(kinds=KINDS)
        self._jobs: dict[str, FollowedJob] = {}
        self._watched: dict[str, set[Watch]] = {}
        self._adding = 0
        self._early: deque[StreamEvent] = deque(maxlen=EARLY)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._wanted = asyncio.Event()
        self._connection: asyncio.Timeout | None = None
        self._up = False
        #: Is set when the daemon was reached, or could not be.
        self._tried: asyncio.Future[DaemonUnreachableError | None]
        self._tried = asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Feed]:
        """Listen while in the block, from the first time that somebody wants to know something."""
        work = asyncio.create_task(self._work(), name="feed")
        work.add_done_callback(self._over)
        try:
            yield self
        finally:
            work.cancel()
            await finish(asyncio.wait([work]))

    async def connected(self, *, run_events: bool = False) -> None:
        """Wait until the daemon tells us what happens.

        :param run_events: also single events of runs, from now on.
        :raises DaemonUnreachableError: if it cannot be reached now; it is tried again and again.
        """
        if run_events and EventKind.RUN_EVENT not in self._position.kinds:
            self._position.kinds = (*KINDS, EventKind.RUN_EVENT)
            if self._connection is not None:  # it is made anew
                self._connection.reschedule(asyncio.get_running_loop().time())
                self._up = False
        self._wanted.set()
        while not self._up:
            if (error := await asyncio.shield(self._tried)) is not None:
                raise error

    def get(self, job_id: str) -> FollowedJob | None:
        """A job that is followed."""
        return self._jobs.get(job_id)

    @contextmanager
    def adding(self) -> Iterator[None]:
        """A job is being added: what is told of it is kept until it is followed."""
        self._adding += 1
        try:
            yield
        finally:
            self._adding -= 1
            if not self._adding:
                self._early.clear()

    async def follow(self, job: FollowedJob, dispatchers: Iterable[Dispatcher]) -> None:
        """Tell handlers what has become of a job, and what becomes of it."""
        known = self._jobs.get(job.id, job)
        for dispatcher in dispatchers:
            await known.join(dispatcher)
        if known is job:
            self._jobs[job.id] = job
            await job.follow(*(each for each in self._early if each.data.get("job") == job.id))
        await known.catch_up()

    @contextmanager
    def watching(self, job_id: str) -> Iterator[Watch]:
        """Whether a job may have ended, while in the block."""
        watch = Watch()
        self._watched.setdefault(job_id, set()).add(watch)
        try:
            yield watch
        finally:
            self._watched[job_id].discard(watch)
            if not self._watched[job_id]:
                del self._watched[job_id]

    def _wake(self, job_id: str | None = None) -> None:
        for watched, watches in self._watched.items():
            if job_id in (None, watched):
                for watch in watches:
                    watch.wake()

    async def _work(self) -> None:
        await self._wanted.wait()
        while True:
            error: DaemonUnreachableError | None = None
            try:
                async with asyncio.timeout(None) as self._connection:
                    await self._listen()
            except TimeoutError:
                continue  # somebody wants to hear more than before
            except DaemonUnreachableError as lost:
                error = lost
            finally:
                was_up, self._up, self._connection = self._up, False, None
            if was_up:
                log.warning("the daemon tells us nothing, it is tried again: %s", error or "ended")
            self._have_tried(error)
            await asyncio.sleep(self._position.delay_s())

    async def _listen(self) -> None:
        async with self._client.listen(self._position) as stream:
            self._up = True
            self._have_tried(None)
            await self._resync()
            async for event in stream:
                await self._heard(event)

    def _have_tried(self, error: DaemonUnreachableError | None) -> None:
        self._tried.set_result(error)
        self._tried = asyncio.get_running_loop().create_future()

    async def _heard(self, event: StreamEvent) -> None:
        if event.kind is EventKind.RESYNC:
            await self._resync()
            return
        if event.kind is not EventKind.RUN_EVENT:  # those have no id of their own
            if event.id in self._seen:
                return
            self._seen[event.id] = None
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        if event.kind is EventKind.PROBLEM:
            self._wake()
        elif event.kind is EventKind.JOB:
            await self._job_changed(Job.model_validate(event.data))
        elif event.kind is EventKind.JOB_GONE:
            self._jobs.pop(event.data["id"], None)
            self._wake(event.data["id"])
        else:
            await self._run_changed(event)

    async def _job_changed(self, told: Job) -> None:
        if told.state not in ENDED:
            return
        job = self._jobs.get(told.id)
        if job and not told.counts.running:
            await self._guarded(job, job.ended())
        self._wake(told.id)

    async def _run_changed(self, event: StreamEvent) -> None:
        job = self._jobs.get(event.data["job"])
        if job:
            await self._guarded(job, job.follow(event))
        elif self._adding:
            self._early.append(event)
        if event.kind is EventKind.RUN_STOPPED:
            self._wake(event.data["job"])
        elif event.kind is EventKind.RUN_FINISHED:
            for watch in self._watched.get(event.data["job"], ()):
                watch.one_less()

    async def _resync(self) -> None:
        for job in list(self._jobs.values()):
            await self._guarded(job, job.resync(self._state))
        self._wake()

    async def _state(self, run_id: str) -> str:
        try:
            return (await self._client.run(run_id)).state
        except DaemonUnreachableError:
            raise
        except TaskgenError:
            return "gone"

    async def _guarded(self, job: FollowedJob, work: Coroutine[Any, Any, None]) -> None:
        """What is wrong with one job must not keep others from being told."""
        try:
            await work
        except DaemonUnreachableError:
            raise
        except TaskgenError as error:
            log.error("handlers of job %s are told nothing more: %s", job.id, error)
            self._jobs.pop(job.id, None)

    def _over(self, work: asyncio.Task[None]) -> None:
        """Nothing is heard any more. If that is a mistake of ours, whoever waits is told so."""
        if not work.cancelled() and (error := work.exception()):
            log.error("the daemon is not listened to any more", exc_info=error)
            self.failure = error
            self._tried.set_exception(error)
            self._tried.exception()  # looked at, so that it is not reported as lost
            self._wake()

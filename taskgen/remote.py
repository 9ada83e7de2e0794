"""A daemon that does the work of a distributor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from taskgen import __version__, remote_values, resources
from taskgen.audience import Audience
from taskgen.backend import Backend
from taskgen.client import AsyncClient
from taskgen.client.address import Address
from taskgen.client.calls import new_job
from taskgen.client.stream import Position
from taskgen.errors import (
    DaemonError,
    DaemonUnreachableError,
    StateError,
    TaskSetError,
    UnknownMachineError,
)
from taskgen.events.handler import EventHandler
from taskgen.feed import Feed
from taskgen.followed_job import FollowedJob
from taskgen.host.waiting import finish
from taskgen.job_request import JobRequest
from taskgen.queue import Attempt, JobInfo, JobSpec, JobState
from taskgen.queue.source import source_of
from taskgen.queue.values import ENDED
from taskgen.resources import EventKind, NewJob
from taskgen.run_settings import RunSettings
from taskgen.status import Status
from taskgen.taskset import TaskSet

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two questions to a daemon that is away, by somebody who waits for its answer.
AGAIN_S = 1.0


class Remote:
    """Made by :func:`remote`; belongs to one event loop.

    :param binaries: the user's directories of task binaries.
    """

    def __init__(
        self, client: AsyncClient, feed: Feed, audience: Audience, binaries: Sequence[Path]
    ) -> None:
        self._client, self._feed, self._audience = client, feed, audience
        self._binaries = tuple(binaries)
        self._own: dict[str, None] = {}  # jobs that were touched here, in that order
        self._paused = False  # by us

    # Jobs.

    async def add_job(self, request: JobRequest, handlers: Sequence[EventHandler]) -> str:
        request.spec(RunSettings())  # numbers that make no sense are refused as they are elsewhere
        document = _document(request.taskset)
        assert isinstance(request.taskset, TaskSet)
        names = request.taskset.binaries()
        new = _new_job(request, document, await self._client.ensure_binaries(names, self._binaries))
        if not handlers:
            job = await self._client.add_job(new)
        else:
            await self._feed.connected(run_events=any(each.wants_events for each in handlers))
            with self._feed.adding():
                job = await self._client.add_job(new)
                await self._follow(job, document, handlers)
        self._own[job.id] = None
        return job.id

    async def add_handler(self, job_id: str, handler: EventHandler) -> None:
        await self._feed.connected(run_events=handler.wants_events)
        job = await self._client.job(job_id)
        await self._follow(job, await self._client.document(job_id), [handler])
        self._own[job_id] = None

    async def _follow(
        self, job: resources.Job, document: Mapping[str, Any], handlers: Sequence[EventHandler]
    ) -> None:
        taskset = TaskSet.from_document(document, f"job {job.id}")
        source = source_of(JobSpec(taskset, offset=job.offset, repeat=job.repeat))

        async def fetch(after: int) -> resources.Page[resources.Attempt]:
            return await self._client.attempts_page(after, job.id)

        followed = FollowedJob(job, source, fetch, self._audience.told)
        await self._feed.follow(followed, [self._audience.dispatcher(each) for each in handlers])

    async def job(self, job_id: str) -> JobInfo:
        return remote_values.job_info(await self._client.job(job_id))

    async def jobs(self) -> list[JobInfo]:
        async with aclosing(self._client.jobs()) as jobs:
            return [remote_values.job_info(job) async for job in jobs]

    async def wait_job(self, job_id: str) -> JobInfo:
        return await self._wait_job(job_id, lambda info: info.state in ENDED)

    async def _wait_job(self, job_id: str, enough: Callable[[JobInfo], bool]) -> JobInfo:
        with self._feed.watching(job_id) as watch:
            while True:
                await self._patiently(self._feed.connected)
                info = await self._patiently(lambda: self.job(job_id))
                if enough(info) and not info.counts.running:
                    break
                watch.left = info.counts.left
                await self._patiently(self._check)
                await watch.news()
        if (followed := self._feed.get(job_id)) is not None:
            await self._patiently(followed.ended)
        await self._audience.told()
        return info

    async def _check(self) -> None:
        """Raise what ended the work, if something did."""
        if self._feed.failure:
            raise self._feed.failure
        status = await self._client.status()
        if status.state == "stopped":
            problem = next(iter(status.problems), None)
            raise DaemonError(
                problem.text if problem else "the daemon's work has ended",
                hint=problem.hint if problem else None,
            )

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What waits for a job waits for its daemon too."""
        while True:
            try:
                return await ask()
            except DaemonUnreachableError as error:
                log.debug("asked again: %s", error)
                await asyncio.sleep(AGAIN_S)

    async def results_page(self, job_id: str, after: int) -> list[Attempt]:
        page = await self._client.job_results_page(job_id, after=after)
        return [remote_values.attempt(each) for each in page.items]

    async def stop_job(self, job_id: str, reason: str) -> None:
        if (followed := self._feed.get(job_id)) is not None:
            followed.stop_reason = reason
        await self._client.cancel_job(job_id)
        await self.wait_job(job_id)

    async def pause_job(self, job_id: str) -> None:
        await self._client.pause_job(job_id)

    async def resume_job(self, job_id: str) -> None:
        await self._client.resume_job(job_id)
        self._own[job_id] = None

    async def retry_bad(self, job_id: str) -> int:
        before = await self._client.job(job_id)
        after = await self._client.retry_bad(job_id)
        self._own[job_id] = None
        return before.counts.bad - after.counts.bad

    async def wait_idle(self) -> None:
        for job_id in tuple(self._own):
            info = await self._wait_job(
                job_id, lambda info: info.state in ENDED or info.state is JobState.PAUSED
            )
            if info.state in ENDED:
                self._own.pop(job_id, None)

    # The daemon as a whole.

    async def busy(self) -> bool:
        counts = (await self._client.status()).counts
        return counts.queued is None or counts.queued + counts.running > 0

    async def status(self) -> Status:
        told = await self._client.status()
        lost = (d.report.lost for d in self._audience.dispatchers if d.missed or d.failed)
        return remote_values.status(told, await self._machines(), tuple(lost))

    async def set_limit(self, machines: int) -> None:
        await self._client.set_max_machines(machines)

    async def kill_machines(self) -> None:
        await self._pause()
        await self._emptied(lambda machine: True)

    async def shut_down_machines(self) -> None:
        await self._pause()
        await self._emptied(lambda machine: machine.run is None)

    async def _pause(self) -> None:
        await self._client.pause()
        self._paused = True

    async def _emptied(self, may_go: Callable[[resources.Machine], bool]) -> None:
        """Kill the machines that may go until none is left. Draining them would hold their slots
        empty after the pause too."""
        kinds = (EventKind.MACHINE, EventKind.MACHINE_GONE)
        killed = set()
        async with self._client.listen(Position(kinds=kinds)) as changes:
            while machines := [each for each in await self._machines() if each.state != "held"]:
                for machine in machines:
                    which = machine.name, machine.uuid
                    if which not in killed and may_go(machine):
                        killed.add(which)
                        with suppress(UnknownMachineError, StateError):  # it went meanwhile
                            await self._client.kill_machine(machine.name)
                if await anext(changes, None) is None:
                    raise DaemonUnreachableError("the daemon ended before the machines did")

    async def _machines(self) -> list[resources.Machine]:
        async with aclosing(self._client.machines()) as machines:
            return [machine async for machine in machines]

    async def resume(self) -> None:
        await self._client.resume()
        self._paused = False

    async def begin(self) -> None:
        if self._paused:  # what somebody else has paused is not ours to resume
            await self.resume()


@asynccontextmanager
async def remote(address: Address, binaries: Sequence[Path] = ()) -> AsyncIterator[Backend]:
    """A daemon while in the block; leaving it leaves the daemon and its jobs at work.

    Handlers are told of what has ended by then, and closed.

    :raises DaemonUnreachableError: if it does not answer.
    """
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncClient(address=address))
        daemon = await client.status()
        if daemon.version != __version__:
            log.warning("the daemon is taskgen %s, this is %s", daemon.version, __version__)
        audience = Audience()
        stack.push_async_callback(_close, audience)
        feed = await stack.enter_async_context(Feed(client).running())
        yield Remote(client, feed, audience, binaries)


async def _close(audience: Audience) -> None:
    await finish(audience.close())


def _document(taskset: object) -> Mapping[str, Any]:
    """The document of a task-set.

    :raises TaskSetError: if none can hold it.
    """
    hint = "a Distributor() of your own, without connect(), can run it"
    if not isinstance(taskset, TaskSet):
        raise TaskSetError(
            f"{getattr(taskset, 'name', None) or type(taskset).__name__}: no document can hold it,"
            " so it cannot be given to the daemon",
            hint=hint,
        )
    try:
        return taskset.whole_document()
    except TaskSetError as error:
        raise TaskSetError(
            f"{taskset.name} cannot be given to the daemon: {error}", hint=hint
        ) from error


def _new_job(
    request: JobRequest, document: Mapping[str, Any], binaries: Mapping[str, str]
) -> NewJob:
    return new_job(
        NewJob(document=dict(document)),
        name=request.name,
        labels=dict(request.labels),
        priority=request.priority,
        offset=request.offset,
        limit=request.limit,
        repeat=request.repeat,
        tries=request.tries,
        profile=request.profile,
        duration_s=request.duration_s,
        admission_control=None
        if request.admission_control is None
        else dict(request.admission_control),
        binaries=dict(binaries),
    )

"""A job that was handed in, seen from a program that does not know asyncio."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol, TypeVar

from taskgen.backend import Backend
from taskgen.events.adapter import adapt
from taskgen.interfaces import Counts
from taskgen.queue import Attempt, JobInfo, JobState

T = TypeVar("T")


class Caller(Protocol):
    """Calls a backend that lives in another thread."""

    def call(
        self, function: Callable[[Backend], Coroutine[Any, Any, T]], timeout: float | None = None
    ) -> T: ...


class Job:
    """One job of a distributor. All calls block, and may come from any thread.

    :ivar id: unique, over several databases too.
    """

    def __init__(self, job_id: str, caller: Caller) -> None:
        self.id = job_id
        self._caller = caller

    def wait(self, timeout: float | None = None) -> JobInfo:
        """Wait until it has ended: every variant has a result or was given up, or it was cancelled.

        :param timeout: seconds; ``None``: for as long as it takes.
        :raises TimeoutError: if it has not ended by then; it goes on.
        :raises TaskgenError: what ended the work, if that comes first.
        """
        return self._caller.call(lambda backend: backend.wait_job(self.id), timeout)

    @property
    def info(self) -> JobInfo:
        """All that is known of it."""
        return self._caller.call(lambda backend: backend.job(self.id))

    @property
    def state(self) -> JobState:
        return self.info.state

    @property
    def progress(self) -> Counts:
        """How many of its variants are queued, running, done, given up."""
        return self.info.counts

    def results(self) -> Iterator[Attempt]:
        """The attempts that are its results, by position; fetched as they are asked for."""

        async def following(backend: Backend) -> list[Attempt]:
            return await backend.results_page(self.id, after)

        after = -1
        while page := self._caller.call(following):
            yield from page
            after = page[-1].position

    def add_handler(self, handler: Any) -> None:
        """Tell a handler all results that the job has, and from now on what becomes of the rest.

        For jobs of an earlier program, whose handlers went with it. What was told before its end
        may be told again: ``run.id`` tells, and the handlers that write files leave it out.

        :param handler: as for ``add_job``.
        """
        adapted = adapt(handler)
        self._caller.call(lambda backend: backend.add_handler(self.id, adapted))

    def cancel(self) -> None:
        """Give the rest of it up; what runs of it is stopped. Its handlers are told first."""
        self._caller.call(lambda backend: backend.stop_job(self.id, "cancelled"))

    def pause(self) -> None:
        """Begin no further run of it until :meth:`resume`."""
        self._caller.call(lambda backend: backend.pause_job(self.id))

    def resume(self) -> None:
        """Go on with it."""
        self._caller.call(lambda backend: backend.resume_job(self.id))

    def retry_bad(self) -> int:
        """Run the variants that were given up again.

        :returns: how many they are.
        """
        return self._caller.call(lambda backend: backend.retry_bad(self.id))

    def __repr__(self) -> str:
        return f"<Job {self.id}>"

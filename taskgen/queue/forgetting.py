"""Deletes jobs that have ended, with all that came of them, little by little."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from taskgen.errors import QueueError, StateError
from taskgen.host.waiting import finish
from taskgen.queue.listening import Listening
from taskgen.queue.work import Work
from taskgen.run_settings import ResultSettings

log = logging.getLogger(__name__)

#: Rows that are deleted at once: results that are to be written wait for it.
ROWS = 200

_DAY_S = 86_400


class Forgetting(Listening):
    """A queue that gives space back.

    What was deleted is gone for everybody at once. Its rows go in small portions between those that
    are written, and if the process ends meanwhile, the next one goes on with that.
    """

    def __init__(self, *args: Any, **keys: Any) -> None:
        super().__init__(*args, **keys)
        self._sweeper: asyncio.Task[None] | None = None
        self._sweep_again = False
        self._left_over = False  # by a disk that was full

    async def delete(self, job_id: str) -> None:
        """Forget a job that has ended, with all that came of it.

        :raises StateError: if it has not ended, or something of it is on a target.
        :raises UnknownJobError: if there is no such job.
        """
        self._committer.check_room()
        async with self._retrying:  # which would take up again what is deleted
            info = await self.job(job_id)
            if info.ended_at is None:
                raise StateError(
                    f"job {job_id} cannot be deleted",
                    state=f"{info.state}, {info.counts.running} of its runs on targets",
                    required="cancelled, done or failed, and nothing of it on a target",
                )
            await self._forget({info.number: info.id})
        self._begin_sweeping()

    async def prune(self, ended_before: float) -> int:
        """Forget the jobs that ended before that time, with all that came of them.

        Their space is given back later; see :meth:`swept`.

        :param ended_before: seconds since the epoch.
        :returns: how many they are.
        """
        return await self._forget_those("ended_before", ended_before)

    async def prune_by(self, kept: ResultSettings) -> int:
        """Forget what the settings do not want kept; as good as nothing if that is nothing.

        A job goes as a whole, those that ended first before others, and none that has not ended.

        :returns: how many jobs were forgotten.
        """
        forgotten = 0
        if kept.days:
            forgotten += await self.prune(self._clock() - kept.days * _DAY_S)
        if kept.runs:
            forgotten += await self._forget_those("ended_beyond", kept.runs)
        if kept.megabytes:
            forgotten += await self._shrink(kept.megabytes * 1e6)
        if forgotten:
            log.info("forgot %d jobs that ended, as [results] says", forgotten)
        return forgotten

    async def _shrink(self, most_bytes: float) -> int:
        """Forget jobs until the database is not larger.

        What a job takes is known when it is gone: so one goes after the other.
        """
        forgotten = 0
        self._begin_sweeping()  # what was forgotten before need not be looked for elsewhere
        await self.swept()
        while not self._left_over and await self._size() > most_bytes:
            if not await self._forget_those("ended_first"):
                break
            forgotten += 1
            await self.swept()
        return forgotten

    async def _size(self) -> int:
        """Bytes of the database, without room that is free."""
        return await self._committer.alone(lambda database: database.bytes_used)

    async def _forget_those(self, statement: str, *parameters: float) -> int:
        """Forget the jobs that a statement gives, which have ended; how many they are."""
        self._committer.check_room()
        async with self._retrying:
            await self._committer.flush()
            rows = await self._reader.rows(statement, parameters)
            if rows:
                await self._forget({row["number"]: row["id"] for row in rows})
        if rows or self._left_over:
            self._begin_sweeping()
        return len(rows)

    async def swept(self) -> None:
        """Wait until all that was forgotten has given its space back."""
        if self._sweeper is not None:
            await asyncio.wait([self._sweeper])

    async def _forget(self, jobs: Mapping[int, str]) -> None:
        """Forget jobs that have ended; nothing of them is still to be written but their ends."""
        await self._committer.flush()
        await self._committer.alone(lambda database: database.forget(tuple(jobs)))
        for job_id in jobs.values():
            work: Work | None = self._works.pop(job_id, None)
            if work is not None:
                self._touched.discard(work)
        self._tell(jobs.values())

    def _begin_sweeping(self) -> None:
        self._sweep_again = True
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep(), name="sweeper")

    async def _sweep(self) -> None:
        self._left_over = False
        try:
            while self._sweep_again:
                self._sweep_again = False
                while await self._committer.alone(lambda database: database.sweep(ROWS)):
                    pass
        except QueueError as error:
            self._left_over = True
            log.warning("what was deleted still takes space: %s", error)
        finally:
            self._sweeper = None

    async def _end_sweeping(self) -> None:
        """Leave what is left of it to the next one who opens the queue."""
        if (sweeper := self._sweeper) is not None:
            sweeper.cancel()
            await finish(asyncio.wait([sweeper]))

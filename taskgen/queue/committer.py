"""Group commit: what the event loop wants written, in as few transactions as the disk allows."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from taskgen.errors import QueueError
from taskgen.host.waiting import finish, in_thread
from taskgen.queue.database import Batch, Database, Parameters
from taskgen.queue.rows import Row

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that a write may wait for company if nobody waits for it.
LAZY_S = 0.1

#: Seconds that results wait for those of other runs: a commit costs more than what it writes. Their
#: targets do not wait meanwhile; a crash has so much more carried out again.
GATHER_S = 0.02

#: Seconds between two tries to write, and after which it is given up: a full disk can be mended.
RETRY_S = 1.0
PATIENCE_S = 60.0

#: What SQLite says of a disk that may be better soon.
_PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY})


class Committer:
    """Writes batch after batch on a thread; while one is written, the next one gathers.

    :param database: used from the thread only.
    :param collect: called when a batch is complete, to add what has to be told of it as a whole.
    :param committed: called after the effects of a batch.
    :param on_stall: called with what is wrong when something cannot be written for now, as on a
        full disk, and with ``None`` once it was; that is waited for without end then, and nothing
        is lost. Without it, it is waited for :data:`PATIENCE_S`.
    :ivar batch: what the next transaction writes.
    :ivar transactions: how many there were.
    :ivar stalled: what is wrong meanwhile; ``None``: nothing.
    """

    def __init__(
        self,
        database: Database,
        thread: ThreadPoolExecutor,
        collect: Callable[[Batch], None],
        committed: Callable[[], None],
        on_stall: Callable[[str | None], object] | None = None,
    ) -> None:
        self.batch = Batch()
        self.transactions = 0
        self.stalled: str | None = None
        self._on_stall = on_stall
        self._patient = on_stall is not None
        self._database = database
        self._thread = thread
        self._collect = collect
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._effects: list[Callable[[], None]] = []
        self._waiters: list[tuple[asyncio.Future[Any], Any]] = []
        self._wanted = False
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    @property
    def last_attempt(self) -> int:
        """The number of the last attempt that is on the disk."""
        return self._database.last_attempt

    def check(self) -> None:
        """Raise what ended the writing, if anything did.

        :raises QueueError: with it as the cause.
        """
        if self._failure is not None:
            raise QueueError(f"the queue cannot be written: {self._failure}") from self._failure

    def check_room(self) -> None:
        """Refuse what would have to wait for a disk that cannot be written now.

        :raises QueueError: then, and if the writing has ended.
        """
        self.check()
        if self.stalled:
            raise QueueError(
                f"nothing can be kept now: {self.stalled}", hint="try again when it is mended"
            )

    def then(self, effect: Callable[[], None]) -> None:
        """Call ``effect`` on the loop once the present batch is on the disk."""
        self._effects.append(effect)

    def later(self, within_s: float = LAZY_S) -> None:
        """Write the present batch with whatever comes next, but begin within that time."""
        due = self._loop.time() + within_s
        if self._timer is not None and self._timer.when() > due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._want)

    def durable(self, result: T, *, within_s: float = 0.0) -> asyncio.Future[T]:
        """Has ``result`` as soon as the present batch is on the disk.

        :param within_s: it need not be begun earlier, if nobody else wants it.
        :raises QueueError: if it cannot be written.
        """
        self.check()
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiters.append((future, result))
        if within_s:
            self.later(within_s)
        else:
            self._want()
        return future

    async def flush(self) -> None:
        """Wait until the present batch is on the disk.

        :raises QueueError: if it cannot be written.
        """
        await self.durable(None)

    async def read(self, name: str, parameters: Parameters = ()) -> list[Row]:
        """All rows that a statement gives; what was wanted before is in the database then, unless
        that stalls."""
        if not self.stalled:
            await self.flush()
        return await self.alone(lambda database: database.read(name, parameters))

    async def alone(self, function: Callable[[Database], T]) -> T:
        """Do something short with the database, between two batches.

        :raises QueueError: if that fails.
        """
        try:
            return await in_thread(self._thread, function, self._database)
        except sqlite3.Error as error:
            raise QueueError(f"the queue: {error}") from error

    def lose_patience(self) -> None:
        """Wait no longer for a disk that cannot be written: the writing ends with the next try."""
        self._patient = False

    async def close(self) -> None:
        """Write what is left.

        :raises QueueError: if it cannot be written.
        """
        self.lose_patience()
        if self._failure is None:
            await finish(self.flush())
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await finish(self._writing)

    def _want(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._wanted and self._failure is None:
            self._wanted = True
            if self._writing is None:
                self._writing = self._loop.create_task(self._write_all(), name="queue writer")

    async def _write_all(self) -> None:
        waiters: list[tuple[asyncio.Future[Any], Any]] = []
        try:
            while self._wanted:
                self._wanted = False
                batch, self.batch = self.batch, Batch()
                effects, self._effects = self._effects, []
                waiters, self._waiters = self._waiters, []
                self._collect(batch)
                await self._write(batch)
                for effect in effects:
                    effect()
                self._committed()
                for future, result in waiters:
                    if not future.done():
                        future.set_result(result)
        except BaseException as error:
            self._failure = error
            for future, _ in (*waiters, *self._waiters):
                if not future.done():
                    failure = QueueError(f"the queue cannot be written: {error}")
                    failure.__cause__ = error
                    future.set_exception(failure)
            if not isinstance(error, sqlite3.Error):
                raise
            log.error("the queue cannot be written: %s", error)
        finally:
            self._writing = None

    async def _write(self, batch: Batch) -> None:
        deadline = self._loop.time() + PATIENCE_S
        while True:
            try:
                await self._loop.run_in_executor(self._thread, self._database.write, batch)
            except sqlite3.OperationalError as error:
                code = error.sqlite_errorcode & 0xFF
                bounded = self._on_stall is None and self._loop.time() < deadline
                if code not in _PASSING or not (self._patient or bounded):
                    raise
                self._stall(f"{self._database.path}: {error}")
                await asyncio.sleep(RETRY_S)  # nobody tells when a disk has room again
            else:
                self.transactions += 1
                self._stall(None)
                return

    def _stall(self, reason: str | None) -> None:
        if reason and not self.stalled and self._on_stall is None:
            log.error("%s; trying again for a while", reason)
        changed, self.stalled = reason != self.stalled, reason
        if changed and self._on_stall is not None:
            self._on_stall(reason)

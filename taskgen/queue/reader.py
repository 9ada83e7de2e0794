"""Reads a queue's database on a thread of its own, so that nobody waits for it who writes."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from taskgen.errors import QueueError, TaskgenError
from taskgen.host.waiting import finish, in_thread
from taskgen.interfaces import Variant
from taskgen.queue.database import Database, Parameters, open_read_only, rows_of
from taskgen.queue.recovery import source_again
from taskgen.queue.rows import Row
from taskgen.queue.source import Source

T = TypeVar("T")

#: Jobs whose task-sets are kept at hand to build their variants again.
SOURCES = 8


class Reading:
    """A connection that only reads. For one thread at a time; blocks.

    :param path: for people, in errors.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self._connection = connection
        self._path = path
        self._sources: OrderedDict[int, Source | None] = OrderedDict()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read in the block is of one instant. To be short: it holds the log up.

        :raises QueueError: if the database cannot be read.
        """
        try:
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise QueueError(f"{self._path or 'the queue'}: cannot be read: {error}") from error

    def rows(
        self,
        name: str,
        parameters: Parameters = (),
        enough: Callable[[Row], bool] | None = None,
    ) -> list[Row]:
        """The rows that a statement gives, until ``enough`` says so of one."""
        return rows_of(self._connection, name, parameters, enough)

    def variant(self, number: int, position: int) -> Variant | None:
        """A variant of a job, as its document tells it; ``None`` if it does not.

        :param number: the job's.
        """
        source = self._source(number)
        if source is None:
            return None
        try:
            return source.at(position)
        except TaskgenError:
            return None

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _source(self, number: int) -> Source | None:
        if number in self._sources:
            self._sources.move_to_end(number)
        else:
            source = None
            for row in self.rows("job_by_number", (number,)):
                if row["document"] is not None:
                    try:
                        source = source_again(row)
                    except TaskgenError:
                        source = None  # a newer or older Taskgen has kept it
            self._sources[number] = source
            while len(self._sources) > SOURCES:
                self._sources.popitem(last=False)
        return self._sources[number]


def open_reading(path: Path) -> Reading:
    """Read the database of a queue, open elsewhere or not.

    :raises QueueError: if it is none, or of another version.
    """
    return Reading(open_read_only(path), path)


class Reader:
    """Reads for one event loop.

    :param database: one without a file is read on ``thread``, where it is written: nobody else can
        see what is in it.
    """

    def __init__(self, database: Database, thread: ThreadPoolExecutor) -> None:
        self._database = database
        self._writer = self._thread = thread
        self._own: ThreadPoolExecutor | None = None
        if database.path is None:
            self._reading = Reading(database.connection, None)
        else:
            self._reading = open_reading(database.path)
            self._own = self._thread = ThreadPoolExecutor(1, thread_name_prefix="queue reader")

    def another(self) -> Reader:
        """One more, for long work that others need not wait for. To be closed."""
        return Reader(self._database, self._writer)

    async def step(self, function: Callable[[Reading], T]) -> T:
        """Do a part of something long, which takes its snapshots itself."""
        return await in_thread(self._thread, function, self._reading)

    async def call(self, function: Callable[[Reading], T]) -> T:
        """What ``function`` makes of one instant of the database. It has to be short.

        :raises QueueError: if the database cannot be read.
        """
        return await in_thread(self._thread, self._at_once, function)

    async def rows(self, name: str, parameters: Parameters = ()) -> list[Row]:
        """All rows that a statement gives.

        :raises QueueError: if the database cannot be read.
        """
        return await self.call(lambda reading: reading.rows(name, parameters))

    async def close(self) -> None:
        """Wait for what is being read, and close the connection."""
        if self._own is not None:
            own, self._own = self._own, None
            await finish(in_thread(own, self._reading.close))
            own.shutdown(wait=False)

    def _at_once(self, function: Callable[[Reading], T]) -> T:
        with self._reading.snapshot():
            return function(self._reading)

"""The queue's SQLite file: opening, migrations, one transaction at a time. Blocking; no asyncio."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskgen.errors import QueueError
from taskgen.interfaces import Run
from taskgen.queue.rows import Row, attempt_row
from taskgen.queue.sql import for_rows, migrations, statements

#: Rows of one INSERT at most. Few statements with many rows each: with every step of a statement
#: the thread gives Python's lock away, and may wait milliseconds to get it back.
ROWS_AT_ONCE = 64

#: Pages of 4 KiB that are given back to the file system at once.
PAGES_AT_ONCE = 1024

Parameters = Mapping[str, Any] | Sequence[Any]


@dataclass(slots=True)
class Batch:
    """What one transaction writes.

    :ivar statements: done first, in order: their names and parameters.
    :ivar released: claims that end, by job and position.
    :ivar forgiven: variants that are no longer set aside, by job and position.
    :ivar claims: claims that begin or change: attempt, from which attempt on they count, target.
    :ivar attempts: that have ended: job, position, run, and whether to keep its parameters.
    :ivar bad: variants that are set aside: job, position, attempt.
    :ivar jobs: parameters of ``update_job``.
    """

    statements: list[tuple[str, Parameters]] = field(default_factory=list)
    released: set[tuple[int, int]] = field(default_factory=set)
    forgiven: set[tuple[int, int]] = field(default_factory=set)
    claims: dict[tuple[int, int], tuple[int, int, str | None]] = field(default_factory=dict)
    attempts: list[tuple[int, int, Run, bool]] = field(default_factory=list)
    bad: list[tuple[int, int, int]] = field(default_factory=list)
    jobs: list[Mapping[str, Any]] = field(default_factory=list)


class Database:
    """One connection, for one thread at a time; nobody else may write while it is open.

    :param path: ``None``: a temporary one, which SQLite keeps in memory as far as it is small,
        else in a file without a name: nothing of it is left whatever happens to the process.
    :raises QueueError: if it cannot be opened, is no queue of ours, or is open elsewhere.
    :ivar last_attempt: the number of the last attempt that is on the disk.
    """

    last_attempt: int

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = None if path is None else _locked(path)
        try:
            self._connection = sqlite3.connect(
                path or "", isolation_level=None, check_same_thread=False, cached_statements=256
            )
            try:
                self._set_up()
            except BaseException:
                self._connection.close()
                raise
        except BaseException as error:
            self._unlock()
            if isinstance(error, sqlite3.Error):
                raise QueueError(f"{path}: cannot be opened: {error}") from error
            raise

    def close(self) -> None:
        """Close it; the write-ahead log is merged into the file."""
        self._connection.close()
        self._unlock()

    def write(self, batch: Batch) -> None:
        """Write a batch: all of it, durably, or nothing.

        Attempts are numbered here: in the order in which they are kept, and never with a number
        that another one had, even if that is gone.

        :raises sqlite3.Error: if that fails.
        """
        last = self.last_attempt
        with self._transaction():
            for name, parameters in batch.statements:
                self._connection.execute(statements()[name], parameters).fetchall()
            for name, keys in (("release", batch.released), ("forgive", batch.forgiven)):
                if keys:
                    self._connection.execute(statements()[name], (json.dumps(list(keys)),))
            self._insert("claim", ((*key, *claim) for key, claim in batch.claims.items()))
            numbered = enumerate(batch.attempts, last + 1)
            self._insert("keep_attempts", (attempt_row(number, *each) for number, each in numbered))
            self._insert("set_aside", batch.bad)
            for each in batch.bad:
                self._connection.execute(statements()["mark_bad"], each)
            for job in batch.jobs:
                self._connection.execute(statements()["update_job"], job)
        self.last_attempt = last + len(batch.attempts)

    def forget(self, jobs: Sequence[int]) -> None:
        """Delete jobs. With them all is gone that came of them, for whoever asks; the rows
        themselves go by :meth:`sweep`, as many at once as need not disturb anybody.

        :param jobs: their numbers; they have ended.
        :raises sqlite3.Error: if that fails; nothing is deleted then.
        """
        # A foreign key would have all rows go at once, and SQLite look for them row by row.
        self._connection.execute("PRAGMA foreign_keys = OFF")
        try:
            with self._transaction():
                self._connection.execute(statements()["keep_last_attempt"])
                for number in jobs:
                    self._connection.execute(statements()["forget"], (number,))
                    self._connection.execute(statements()["drop_job"], (number,))
        finally:
            self._connection.execute("PRAGMA foreign_keys = ON")

    def sweep(self, rows: int) -> bool:
        """Delete so many rows of jobs that were deleted, or give some of their space back.

        :returns: whether there is more to do.
        :raises sqlite3.Error: if that fails.
        """
        job = self._connection.execute(statements()["forgotten"]).fetchone()
        if job is None:
            # It gives one page back at each step; a script is stepped to its end.
            self._connection.executescript(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})")
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
            return bool(free)
        with self._transaction():
            for table in ("results", "failures", "claims", "bad"):
                place = {"job": job[0], "limit": rows}
                if self._connection.execute(statements()[f"sweep_{table}"], place).rowcount:
                    return True
            self._connection.execute(statements()["swept"], job)
        return True

    @property
    def unswept(self) -> bool:
        """Whether jobs were deleted of which something is still there."""
        return self._connection.execute(statements()["forgotten"]).fetchone() is not None

    @property
    def bytes_used(self) -> int:
        """Its size, without room that is free, and without what the log beside it holds."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def read(self, name: str, parameters: Parameters = ()) -> list[Row]:
        """All rows that a statement gives."""
        return rows_of(self._connection, name, parameters)

    @property
    def connection(self) -> sqlite3.Connection:
        """For whoever reads on the thread that writes, where the database has no file."""
        return self._connection

    def _set_up(self) -> None:
        for pragma in (
            "auto_vacuum = INCREMENTAL",
            "journal_mode = WAL",  # a temporary database stays with its own
            "synchronous = FULL",  # a commit is on the disk when it returns
            "foreign_keys = ON",
            "journal_size_limit = 67108864",
            "cache_size = -16384",  # KiB
            "busy_timeout = 10000",  # somebody's sqlite3 may hold it for a moment
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        scripts = migrations()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > len(scripts):
            raise QueueError(
                f"{self.path}: has version {version}, this Taskgen knows up to {len(scripts)}",
                hint="a newer Taskgen wrote it",
            )
        tables = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if version == 0 and tables:
            raise QueueError(f"{self.path}: is a database of somebody else's")
        for number, script in enumerate(scripts[version:], version + 1):
            # executescript() would commit first; so the script brings its own transaction.
            self._connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        (self.last_attempt,) = self._connection.execute(statements()["last_attempt"]).fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _insert(self, name: str, rows: Iterable[Sequence[Any]]) -> None:
        pending = list(rows)
        begin, size = 0, ROWS_AT_ONCE
        while begin < len(pending):
            while size > len(pending) - begin:
                size //= 2  # powers of two, so that there are few different statements
            values = [value for row in pending[begin : begin + size] for value in row]
            self._connection.execute(for_rows(name, size), values)
            begin += size

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that reads beside whoever writes; may be closed by another thread.

    :raises QueueError: if the file cannot be read, or is no queue of this version.
    """
    try:
        uri = f"{path.resolve().as_uri()}?mode=ro"
        connection = sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=10
        )
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != len(migrations()):
                raise QueueError(
                    f"{path}: has version {version}, this Taskgen reads {len(migrations())}",
                    hint="an older queue is brought up to date when an engine opens it",
                )
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise QueueError(f"{path}: cannot be read: {error}") from error
    return connection


def rows_of(
    connection: sqlite3.Connection,
    name: str,
    parameters: Parameters = (),
    enough: Callable[[Row], bool] | None = None,
) -> list[Row]:
    """The rows that a statement gives.

    :param enough: called with each row; no more are read once it says so.
    """
    cursor = connection.execute(statements()[name], parameters)
    names = [column[0] for column in cursor.description]
    found: list[Row] = []
    for values in cursor:
        row = dict(zip(names, values, strict=True))
        found.append(row)
        if enough is not None and enough(row):
            break
    cursor.close()
    return found


def _locked(path: Path) -> int:
    """Hold the lock beside the file; the kernel frees it if we die.

    :raises QueueError: if another process has it.
    """
    lock_path = path.with_name(f"{path.name}.lock")
    try:
        lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise QueueError(f"{path}: cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise QueueError(f"{path}: is in use by another engine") from error
    return lock

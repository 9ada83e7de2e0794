"""The queue's SQLite file: opening, migrations, one transaction at a time. Blocking; no asyncio."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
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
    """

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

        :raises sqlite3.Error: if that fails.
        """
        with self._transaction():
            for name, parameters in batch.statements:
                self._connection.execute(statements()[name], parameters).fetchall()
            for name, keys in (("release", batch.released), ("forgive", batch.forgiven)):
                if keys:
                    self._connection.execute(statements()[name], (json.dumps(list(keys)),))
            self._insert("claim", ((*key, *claim) for key, claim in batch.claims.items()))
            self._insert("keep_attempts", (attempt_row(*each) for each in batch.attempts))
            self._insert("set_aside", batch.bad)
            for job in batch.jobs:
                self._connection.execute(statements()["update_job"], job)

    def read(self, name: str, parameters: Parameters = ()) -> list[Row]:
        """All rows that a statement gives."""
        return _rows(self._connection, name, parameters)

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


def read_only(path: Path, name: str, parameters: Parameters = ()) -> list[Row]:
    """All rows that a statement gives, beside whoever writes.

    :raises QueueError: if the file cannot be read.
    """
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            return _rows(connection, name, parameters)
    except sqlite3.Error as error:
        raise QueueError(f"{path}: cannot be read: {error}") from error


def _rows(connection: sqlite3.Connection, name: str, parameters: Parameters) -> list[Row]:
    cursor = connection.execute(statements()[name], parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


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

"""The database of results that users analyse: one SQLite file, made and kept by migrations."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from taskgen.errors import ConfigError
from taskgen.results.statements import migrations, statements

#: ``PRAGMA application_id``: tells our databases from those of others. "TGNR".
APPLICATION_ID = 0x54474E52

#: Seconds to wait for another process that writes.
BUSY_S = 30.0


def connect(path: Path, steps: Sequence[str] | None = None) -> sqlite3.Connection:
    """Open a database of results; make it, or bring it to the present version, if need be.

    Statements outside of :func:`transaction` commit by themselves. The connection may be used from
    any thread, by one at a time.

    :param steps: the migrations; ours if ``None``.
    :raises ConfigError: if the file is something else, of a newer version, or cannot be written.
    """
    steps = migrations() if steps is None else steps
    _check_folder(path)
    with _one_at_a_time(path.parent):
        _check_content(path, len(steps))
        try:
            database = sqlite3.connect(
                path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            try:
                database.execute("PRAGMA foreign_keys = ON")
                database.execute("PRAGMA synchronous = NORMAL")
                _migrate(database, steps)
                database.execute("PRAGMA journal_mode = WAL")
            except BaseException:
                database.close()
                raise
        except sqlite3.OperationalError as error:
            raise ConfigError(f"{path}: cannot be written: {error}") from error
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def version(database: sqlite3.Connection) -> int:
    """The version of the schema: how many migrations it has gone through."""
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def check(path: Path, newest: int | None = None) -> None:
    """Find out now what would fail later; creates nothing.

    :param newest: the version that we know; that of our migrations if ``None``.
    :raises ConfigError: as :func:`connect`.
    """
    _check_folder(path)
    with _one_at_a_time(path.parent):
        _check_content(path, len(migrations()) if newest is None else newest)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep others from opening databases of this folder meanwhile.

    SQLite does not wait for anybody when it changes to WAL. The folder is locked and not the file:
    closing a second descriptor of the file would take SQLite's own locks away.
    """
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _check_content(path: Path, newest: int) -> None:
    if not path.exists() or path.stat().st_size == 0:
        return
    address = f"file:{_quoted(path)}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S)) as database:
            # SQLite takes a file that is too short for an empty database, and would write over it.
            ours = _has_magic(path) and _is_ours(database)
            found = version(database) if ours else 0
    except sqlite3.OperationalError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except sqlite3.DatabaseError:
        ours, found = False, 0
    if not ours:
        raise ConfigError(
            f"{path}: exists, and is not a database of results", hint="name another file"
        )
    if found > newest:
        raise ConfigError(
            f"{path}: has version {found} of the schema, this Taskgen knows {newest}",
            hint="use a newer Taskgen",
        )


def _has_magic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _is_ours(database: sqlite3.Connection) -> bool:
    """Whether it is ours, or has nothing in it: another process may be about to make it."""
    told = database.execute(
        "SELECT (SELECT application_id FROM pragma_application_id), count(*) FROM sqlite_master"
    ).fetchone()
    return told[0] == APPLICATION_ID or tuple(told) == (0, 0)


def _migrate(database: sqlite3.Connection, steps: Sequence[str]) -> None:
    if version(database) == len(steps):
        return
    # Lets prune give room back; works only before the first table is made.
    database.execute("PRAGMA auto_vacuum = INCREMENTAL")
    with transaction(database):
        # Asked again: another process may have been faster.
        for number in range(version(database), len(steps)):
            for statement in statements(steps[number]):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number + 1}")
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _check_folder(path: Path) -> None:
    number = 0
    if not path.parent.is_dir():
        number = errno.ENOENT
    elif not os.access(path.parent, os.W_OK | os.X_OK):
        number = errno.EACCES
    if number:
        raise ConfigError(f"{path}: cannot be written: {os.strerror(number)}")


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")

"""Keeps a database of results in bounds: the oldest runs go first."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from taskgen.errors import ConfigError
from taskgen.results.database import connect, transaction
from taskgen.results.statements import queries

#: Runs that one transaction deletes, so that nobody who writes has to wait for long.
BATCH = 500

_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """What is to be kept. ``None``: no bound; a run goes as soon as one of them says so.

    :ivar days: keep runs that were recorded within so many days.
    :ivar runs: keep so many runs.
    :ivar megabytes: keep so many that the database is not larger than this (10**6 bytes).
    :raises ConfigError: if one is not above 0.
    """

    days: float | None = None
    runs: int | None = None
    megabytes: float | None = None

    def __post_init__(self) -> None:
        for name in ("days", "runs", "megabytes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"retention: {name} = {value}: must be above 0")

    @property
    def unbounded(self) -> bool:
        return self.days is None and self.runs is None and self.megabytes is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What was deleted, or would be.

    :ivar kept: runs that are left.
    :ivar bytes_before: what results took, without room that was free.
    """

    runs: int
    activations: int
    kept: int
    bytes_before: int
    bytes_after: int


def prune(
    path: Path, retention: Retention, *, now: Callable[[], float] = time.time, dry_run: bool = False
) -> Pruned:
    """Delete the runs that need not be kept, with their activations, and give the room back.

    Others may write to the database meanwhile. With ``dry_run`` all is done and taken back, in one
    transaction: others wait for it then.

    :param now: seconds since the epoch.
    :raises ConfigError: if there is no such database.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such database of results")
    with closing(connect(path)) as database:
        if not dry_run:
            return prune_open(database, retention, now=now)
        database.execute("BEGIN IMMEDIATE")
        try:
            return _Pruner(database, retention, now()).prune()
        finally:
            database.execute("ROLLBACK")


def prune_open(
    database: sqlite3.Connection, retention: Retention, *, now: Callable[[], float] = time.time
) -> Pruned:
    """The same in a database that is open."""
    pruned = _Pruner(database, retention, now()).prune()
    if pruned.runs:
        # It gives back one page at each step. A script is stepped to its end; execute() steps once,
        # and fetchall() stops at once, as there are no columns.
        database.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(PASSIVE);")
    return pruned


class _Pruner:
    def __init__(self, database: sqlite3.Connection, retention: Retention, now: float) -> None:
        self._database = database
        self._retention = retention
        self._now = now

    def prune(self) -> Pruned:
        runs, activations, size = self._runs(), self._activations(), self._bytes()
        retention = self._retention
        if retention.days is not None:
            self._delete_until(self._now - retention.days * _DAY_S, -1)
        if retention.runs is not None:
            newest = self._ask("oldest_kept", kept=retention.runs)
            if newest is not None:
                self._delete_until(*newest)
        if retention.megabytes is not None:
            while self._bytes() > retention.megabytes * 10**6 and self._runs():
                self._delete(float("inf"), -1, max(1, self._runs() // 20))
        if self._runs() < runs:
            self._database.execute(queries()["delete_unused_conditions"])
        return Pruned(
            runs=runs - self._runs(),
            activations=activations - self._activations(),
            kept=self._runs(),
            bytes_before=size,
            bytes_after=self._bytes(),
        )

    def _delete_until(self, before: float, number: int) -> None:
        """Delete what was recorded earlier, and, of the same instant, up to that number."""
        while self._delete(before, number, BATCH):
            pass

    def _delete(self, before: float, number: int, limit: int) -> int:
        values = {"before": before, "number": number, "batch": min(limit, BATCH)}
        if self._database.in_transaction:  # a dry run
            return self._database.execute(queries()["delete_oldest"], values).rowcount
        with transaction(self._database):
            return self._database.execute(queries()["delete_oldest"], values).rowcount

    def _runs(self) -> int:
        return int(self._ask("runs_counted")[0])

    def _activations(self) -> int:
        return int(self._ask("activations_counted")[0])

    def _bytes(self) -> int:
        pages, free, size = (
            self._database.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _ask(self, name: str, **values: object) -> tuple[float, int]:
        row: tuple[float, int] = self._database.execute(queries()[name], values).fetchone()
        return row

"""Activations into a SQLite database that is made for analysis."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from taskgen.events.handler import EventHandler
from taskgen.frozen import thaw
from taskgen.interfaces import Outcome, Run
from taskgen.provenance import Provenance
from taskgen.results.database import check, connect, transaction
from taskgen.results.prune import Retention, prune_open
from taskgen.results.rows import (
    PROVENANCE_COLUMNS,
    RUN_COLUMNS,
    activation_cells,
    provenance_cells,
    run_cells,
)
from taskgen.results.statements import queries

#: Runs between two looks at what need not be kept any more.
PRUNE_EVERY = 1000

#: What belongs to a run, not to the conditions that it shares with others.
_OF_RUN = ("description_sha256", "runs_since_boot", "vcpu_wait_ms", "host_steal_share")


class SqliteHandler(EventHandler):
    """Keeps each run, with its activations, in a SQLite database.

    A run is one transaction: it is there with all its activations, or not at all, and one that is
    there already is not written again. Several processes may write to one database. The tables
    are explained in docs/handlers.md.

    :param path: the file; created at the end of the first run if it does not exist.
    :param retention: what to keep; everything if ``None``.
    :param now: seconds since the epoch.
    :raises ConfigError: if it cannot be written or holds something else.
    :ivar repeats: runs that were in the database already.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        retention: Retention | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self.repeats = 0
        self._retention = retention or Retention()
        self._now = now
        self._database: sqlite3.Connection | None = None
        self._until_prune = 0
        check(self.path)

    @property
    def name(self) -> str:
        return f"SqliteHandler({self.path})"

    def on_finish(self, run: Run) -> None:
        database = self._open()
        with transaction(database):
            added = self._insert(database, run)
        self.repeats += not added
        self._until_prune -= 1
        if self._until_prune <= 0 and not self._retention.unbounded:
            self._until_prune = PRUNE_EVERY
            prune_open(database, self._retention, now=self._now)

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        self._open().execute(queries()["give_up"], {"run_id": run.id})

    def close(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            try:
                database.execute("PRAGMA optimize")
            finally:
                database.close()

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = connect(self.path)
        return self._database

    def _insert(self, database: sqlite3.Connection, run: Run) -> bool:
        """Write a run; whether it was not there before."""
        outcome = run.outcome
        assert outcome is not None
        provenance = Provenance.of(run)
        values = {
            **dict(zip(RUN_COLUMNS, run_cells(run), strict=True)),
            "variant": _stored(run.variant.index),
            "reason": outcome.reason,
            "duration_s": outcome.duration_s,
            "console": outcome.console,
            **{name: getattr(provenance, name) for name in _OF_RUN},
            "recorded_at": self._now(),
            "conditions": _conditions_number(database, provenance),
        }
        cursor = database.execute(queries()["insert_run"], values)
        if not cursor.rowcount:
            return False
        number = cursor.lastrowid
        database.executemany(
            queries()["insert_parameter"],
            [(number, name, _stored(value)) for name, value in run.variant.parameters.items()],
        )
        database.executemany(
            queries()["insert_activation"],
            [(number, *map(_stored_flag, activation_cells(a))) for a in outcome.activations],
        )
        return True


def _conditions_number(database: sqlite3.Connection, provenance: Provenance) -> int:
    """The row of the conditions, which is made if there is none. Never remembered: another
    process may prune it away."""
    values = _conditions(provenance)
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    row = database.execute(queries()["conditions_number"], {"digest": digest}).fetchone()
    if row is not None:
        return int(row[0])
    number = database.execute(
        queries()["insert_conditions"], {**values, "digest": digest}
    ).lastrowid
    assert number is not None
    return number


def _conditions(provenance: Provenance) -> dict[str, Any]:
    cells = zip(PROVENANCE_COLUMNS, provenance_cells(provenance), strict=True)
    values = {name: _stored_flag(cell) for name, cell in cells if name not in _OF_RUN}
    return {**values, "more": json.dumps(thaw(provenance.more), sort_keys=True, default=str)}


def _stored_flag(value: Any) -> Any:
    """A cell as SQLite takes it; it has no booleans."""
    return int(value) if isinstance(value, bool) else _stored(value)


def _stored(value: Any) -> Any:
    """A value as SQLite takes it. Whole numbers beyond 64 bits become text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)
    if isinstance(value, (Mapping, list, tuple)):
        return json.dumps(thaw(value), sort_keys=True, default=str)
    return value

"""SQL out of the .sql files of this package."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def queries() -> Mapping[str, str]:
    """The statements of ``queries.sql``, by their names."""
    text = files(__package__).joinpath("queries.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}


@cache
def migrations() -> tuple[str, ...]:
    """The migrations in their order: the first makes version 1 out of an empty database.

    Their files are named by their numbers, ``0001_….sql`` and so on without a gap.
    """
    folder = files(__package__).joinpath("migrations")
    found = sorted((each for each in folder.iterdir() if each.name.endswith(".sql")), key=str)
    for number, each in enumerate(found, 1):
        assert each.name.startswith(f"{number:04}_"), f"{each.name} is not number {number}"
    return tuple(each.read_text(encoding="utf-8") for each in found)


def statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one, so that they can share a transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    assert not _without_comments(statement), f"unfinished statement: {statement}"


def _without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text).strip()

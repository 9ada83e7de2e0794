"""The SQL of the queue, read from the files beside this one."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files


def migrations() -> list[str]:
    """The scripts that bring an empty database to the newest schema, one for each version."""
    names = sorted(
        entry.name
        for entry in files(__name__).iterdir()
        if re.fullmatch(r"\d{3}_\w+\.sql", entry.name)
    )
    return [files(__name__).joinpath(name).read_text(encoding="utf-8") for name in names]


@cache
def statements() -> dict[str, str]:
    """The statements by name."""
    text = files(__name__).joinpath("statements.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return {name: sql.strip() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def for_rows(name: str, rows: int) -> str:
    """A statement that ends in ``VALUES (…)``, for several rows at once."""
    head, values = statements()[name].rsplit("VALUES", 1)
    return f"{head}VALUES {', '.join([values.strip()] * rows)}"

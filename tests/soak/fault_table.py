"""Puts a table that a test has measured into a page of the documentation."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path


def put_table(rows: Iterable[str], variable: str) -> None:
    """Print it, and put it where the page has a place for it.

    :param variable: of the environment, with the page's path; not set: it is only printed.
    """
    table = "\n".join(["", *rows, ""])
    print(table)
    if page := os.environ.get(variable):
        path = Path(page)
        before, begin, rest = path.read_text(encoding="utf-8").partition("<!-- table: make ")
        assert rest, f"{path} has no place for the table"
        mark, _, rest = rest.partition("\n")
        end = "<!-- end of the table -->\n"
        path.write_text(
            f"{before}{begin}{mark}\n{table}\n{end}{rest.partition(end)[2]}", encoding="utf-8"
        )


def shortened(text: str, length: int = 120) -> str:
    """For a cell of the table."""
    text = text.replace("|", "/").replace("`", "'")
    return text if len(text) < length else f"{text[:length]} …"


def median_and_most(seconds: Sequence[float]) -> str:
    """The most in brackets; nothing: none was taken."""
    if not seconds:
        return "-"
    return f"{statistics.median(seconds):.2f} ({max(seconds):.2f})"

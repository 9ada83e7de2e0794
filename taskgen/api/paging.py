"""Lists in parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Annotated, TypeVar

from fastapi import Query
from pydantic import StringConstraints

from taskgen.resources import Page

T = TypeVar("T")

MAX_PAGE = 500
#: SQLite's integers have 64 bits.
MAX_NUMBER = 2**63 - 1

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Items at most.")]

#: Behind an item with a number.
AfterNumber = Annotated[
    int, Query(ge=0, le=MAX_NUMBER, description="Begin behind this one: the last page's `next`.")
]

#: Behind an item with a name.
AfterName = Annotated[
    str, Query(max_length=256, description="Begin behind this one: the last page's `next`.")
]


def page_of(found: list[T], limit: int, cursor: Callable[[T], object]) -> Page[T]:
    """A page of what was asked for with one more than its limit.

    :param cursor: what to go on behind.
    """
    more = len(found) > limit
    items = found[:limit]
    return Page(items=items, next=str(cursor(items[-1])) if more else None)


def page_by_name(every: Iterable[T], after: str, limit: int, name: Callable[[T], str]) -> Page[T]:
    """A page of what is in memory, by name; numbers in names count as numbers.

    What the last page ended with may be gone by now: it need not be there to go on behind it.
    """
    rest = sorted(every, key=lambda each: _in_order(name(each)))
    if after:
        rest = [each for each in rest if _in_order(name(each)) > _in_order(after)]
    return page_of(rest[: limit + 1], limit, name)


def _in_order(name: str) -> list[str | int]:
    """A key by which machine 10 comes behind machine 9, and address .10 behind .9."""
    parts = re.split(r"([0-9]+)", name)  # text and number by turns
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


#: A label to choose jobs by.
_Label = Annotated[str, StringConstraints(pattern="^[^=]{0,256}=", max_length=513)]

#: Labels to choose jobs by.
Labels = Annotated[
    list[_Label] | None,
    Query(max_length=64, description="Only with this label, as in `who=me`; repeatable."),
]


def labels_of(texts: list[str] | None) -> dict[str, str]:
    """Labels that were given as ``name=value``."""
    return dict(text.partition("=")[::2] for text in texts or ())

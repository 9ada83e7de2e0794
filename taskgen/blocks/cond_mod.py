"""Ends at once if its first argument is a multiple of the second, else counts for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between


def Value(number: Any, divisor: Any = 2) -> Mapping[str, Any]:
    """The number and its divisor; one value each, or many."""
    return {"pkg": "cond_mod", "quota": "1M", "config": {"arg1": number, "arg2": divisor}}


def Variants(highest: int) -> Mapping[str, Any]:
    """A variant for each number from 1 to ``highest``, which ends at once if it is even."""
    return Value(range(1, highest + 1))


def Random(highest: int = 100) -> Mapping[str, Any]:
    """A number from 1 to ``highest``, drawn."""
    return Value(between(1, highest))


def RandomBreak() -> Mapping[str, Any]:
    """An even number up to 200, drawn: ends at once."""
    return Value(2 * between(1, 100))


#: Ends at once.
Break = Value(2)

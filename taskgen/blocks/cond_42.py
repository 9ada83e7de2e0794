"""Ends at once if its argument is 42, else counts for a while."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between


def Value(number: Any) -> Mapping[str, Any]:
    """The number that is compared with 42; one value, or many."""
    return {"pkg": "cond_42", "quota": "1M", "config": {"arg1": number}}


def Variants(highest: int) -> Mapping[str, Any]:
    """A variant for each argument from 1 to ``highest``."""
    return Value(range(1, highest + 1))


def Random(highest: int = 100) -> Mapping[str, Any]:
    """An argument from 1 to ``highest``, drawn."""
    return Value(between(1, highest))


#: Ends at once.
Break = Value(42)

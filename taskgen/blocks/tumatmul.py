"""Multiplies two square matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between


def Value(size: Any) -> Mapping[str, Any]:
    """Rows and columns of the matrices; one value, or many."""
    return {"pkg": "tumatmul", "quota": "8M", "config": {"arg1": size}}


def Variants(highest: int) -> Mapping[str, Any]:
    """A variant for each argument from 1 to ``highest``."""
    return Value(range(1, highest + 1))


def Random(highest: int = 100) -> Mapping[str, Any]:
    """An argument from 1 to ``highest``, drawn."""
    return Value(between(1, highest))

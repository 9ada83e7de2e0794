"""Approaches pi by the series of Gregory and Leibniz."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between


def Value(iterations: Any) -> Mapping[str, Any]:
    """Terms of the series; one value, or many."""
    return {"pkg": "pi", "quota": "1M", "config": {"arg1": iterations}}


def Variants(highest: int) -> Mapping[str, Any]:
    """A variant for each argument from 1 to ``highest``."""
    return Value(range(1, highest + 1))


def Random(highest: int = 100000) -> Mapping[str, Any]:
    """An argument from 1 to ``highest``, drawn."""
    return Value(between(1, highest))

"""Relative deadline; above 0 it selects EDF.

The Linux guest wants ``executiontime <= deadline <= period``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between


def Value(deadline_ms: Any) -> Mapping[str, Any]:
    """One value in ms, or many, each of which makes a variant."""
    return {"deadline": deadline_ms}


def Variants() -> Mapping[str, Any]:
    """All of 10 to 1000 ms, in steps of 10."""
    return Value(range(10, 1001, 10))


def Random() -> Mapping[str, Any]:
    """One of them, drawn."""
    return _drawn(10, 1000)


def HighRandom() -> Mapping[str, Any]:
    """One of 10 to 100, the most urgent, drawn."""
    return _drawn(10, 100)


def MediumRandom() -> Mapping[str, Any]:
    """One of 110 to 400, drawn."""
    return _drawn(110, 400)


def LowRandom() -> Mapping[str, Any]:
    """One of 410 to 1000, the least urgent, drawn."""
    return _drawn(410, 1000)


def _drawn(low: int, high: int) -> Mapping[str, Any]:
    return Value(10 * between(low // 10, high // 10))

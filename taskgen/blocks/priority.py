"""Fixed priority; **0 is the most urgent**, 127 the least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between


def Value(priority: Any) -> Mapping[str, Any]:
    """One value, or many, each of which makes a variant."""
    return {"priority": priority}


def Variants() -> Mapping[str, Any]:
    """All of 0 to 127."""
    return Value(range(128))


def Random() -> Mapping[str, Any]:
    """One of them, drawn."""
    return _drawn(0, 127)


def HighRandom() -> Mapping[str, Any]:
    """One of 0 to 42, the most urgent, drawn."""
    return _drawn(0, 42)


def MediumRandom() -> Mapping[str, Any]:
    """One of 43 to 85, drawn."""
    return _drawn(43, 85)


def LowRandom() -> Mapping[str, Any]:
    """One of 86 to 127, the least urgent, drawn."""
    return _drawn(86, 127)


def _drawn(low: int, high: int) -> Mapping[str, Any]:
    return Value(between(low, high))

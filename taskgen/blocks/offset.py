"""Time before the first release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between


def Value(offset_ms: Any) -> Mapping[str, Any]:
    """One value in ms, or many, each of which makes a variant."""
    return {"offset": offset_ms}


def Variants() -> Mapping[str, Any]:
    """All of 0 to 100 ms, in steps of 10."""
    return Value(range(0, 101, 10))


def Random() -> Mapping[str, Any]:
    """One of them, drawn."""
    return Value(10 * between(0, 10))

"""Uses CPU time and does nothing with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.frozen import FrozenMapping
from taskgen.randomness import between


def Value(burn_ms: Any) -> Mapping[str, Any]:
    """CPU time to use, ms; one value, or many. 0: never ends."""
    return {"pkg": "idle", "quota": "1M", "config": {"arg1": burn_ms}}


def Variants(highest: int) -> Mapping[str, Any]:
    """A variant for each time from 1 to ``highest``, ms."""
    return Value(range(1, highest + 1))


def Random(highest: int = 50) -> Mapping[str, Any]:
    """A time from 1 to ``highest``, ms, drawn."""
    return Value(between(1, highest))


#: Never ends by itself: ``criticaltime`` or the next release ends it.
Idle = FrozenMapping(Value(0))

"""Number of activations; the key is ``numberofjobs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between


def Value(number: Any) -> Mapping[str, Any]:
    """One value, or many, each of which makes a variant."""
    return {"numberofjobs": number}


def Variants() -> Mapping[str, Any]:
    """All of 1 to 20."""
    return Value(range(1, 21))


def Random() -> Mapping[str, Any]:
    """One of them, drawn."""
    return Value(between(1, 20))


#: Activations without end: the run then needs a limit of its own.
Endless = Value(0)

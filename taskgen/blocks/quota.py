"""Memory that a task may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between

_SIZES = ("1M", "2M", "4M", "8M", "16M")


def Value(size: Any) -> Mapping[str, Any]:
    """One size as in ``1M``, or many, each of which makes a variant."""
    return {"quota": size}


def Variants() -> Mapping[str, Any]:
    """1M, 2M, 4M, 8M and 16M."""
    return Value(_SIZES)


def Random() -> Mapping[str, Any]:
    """One of them, drawn."""
    return Value(_SIZES[between(0, len(_SIZES) - 1)])

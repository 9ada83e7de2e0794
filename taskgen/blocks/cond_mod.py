"""Ends at once if its first argument is a multiple of the second, else counts for a while.

``Value(3)``: 3 and 2; ``Value(9, 4)``; ``Variants(50)``: 1 to 50, each with 2; ``Random(100)``: up
to that, drawn; ``Break``: ends at once; ``RandomBreak``: so does this, with an even number, drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.blocks._kinds import Program
from taskgen.frozen import freeze
from taskgen.randomness import between

_program = Program("cond_mod", usual=100)


def Value(number: Any, divisor: Any = 2) -> Mapping[str, Any]:
    """The number and its divisor: one value each, or many."""
    return _with(_program.value(number), divisor)


def Variants(highest: int) -> Mapping[str, Any]:
    """A variant for each number from 1 to ``highest``."""
    return _with(_program.variants(highest))


def Random(highest: int | None = None) -> Mapping[str, Any]:
    """A number from 1 to ``highest``, drawn."""
    return _with(_program.random(highest))


def RandomBreak() -> Mapping[str, Any]:
    """An even number up to 200, drawn: ends at once."""
    return Value(2 * between(1, 100))


def _with(block: Mapping[str, Any], divisor: Any = 2) -> Mapping[str, Any]:
    return {**block, "config": {**block["config"], "arg2": divisor}}


Break = freeze(Value(2))

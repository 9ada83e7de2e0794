"""Rounds of the floor and of ours in turn, as in A B B A: a slow moment of the host hits both."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from statistics import median
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


async def in_turn(
    rounds: int,
    floor: Callable[[], Awaitable[A]],
    ours: Callable[[], Awaitable[B]],
    *,
    what: str,
) -> tuple[list[A], list[B]]:
    """What came of so many rounds of each.

    :param what: is measured; each round is told on standard error.
    """
    bare: list[A] = []
    own: list[B] = []
    for number in range(rounds):
        for which in "AB" if number % 2 == 0 else "BA":
            if which == "A":
                bare.append(await floor())
            else:
                own.append(await ours())
        told = f"floor {_brief(bare[-1])}, ours {_brief(own[-1])}"
        tell(f"{what}, round {number + 1} of {rounds}: {told}")
    return bare, own


def tell(text: str) -> None:
    """Say something for those who watch."""
    print(text, file=sys.stderr, flush=True)


def _brief(found: object) -> str:
    return f"{median(found):.4g}" if isinstance(found, list) else str(found)

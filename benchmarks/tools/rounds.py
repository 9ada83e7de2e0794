"""Rounds of the floor and of ours in turn, as in A B B A: a slow moment of the host hits both."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import TypeVar, cast

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
    sides: dict[str, Callable[[], Awaitable[A | B]]] = {"floor": floor, "ours": ours}
    found = await all_in_turn(rounds, sides, what=what)
    return cast("list[A]", found["floor"]), cast("list[B]", found["ours"])


async def all_in_turn(
    rounds: int, sides: Mapping[str, Callable[[], Awaitable[A]]], *, what: str
) -> dict[str, list[A]]:
    """The same for any number of sides, as in A B C C B A."""
    found: dict[str, list[A]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sides if number % 2 == 0 else reversed(list(sides)):
            found[name].append(await sides[name]())
        told = ", ".join(f"{name} {_brief(each[-1])}" for name, each in found.items())
        tell(f"{what}, round {number + 1} of {rounds}: {told}")
    return found


def tell(text: str) -> None:
    """Say something for those who watch."""
    print(text, file=sys.stderr, flush=True)


def _brief(found: object) -> str:
    return f"{median(found):.4g}" if isinstance(found, list) else str(found)

"""The two kinds of blocks that most modules here are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskgen.randomness import between

Keys = Mapping[str, Any]


class Spread:
    """One key with a usual range, from which values are drawn.

    :param low: smallest usual value.
    :param high: largest usual value.
    :param step: distance between usual values; divides both.
    :param thirds: smallest values of the second and of the last third, where it is split.
    """

    def __init__(
        self, key: str, low: int, high: int, step: int = 1, thirds: tuple[int, int] | None = None
    ) -> None:
        self._key = key
        self._low, self._high, self._step = low, high, step
        self._second, self._last = thirds or (high, high)

    def value(self, value: Any) -> Keys:
        """One value, or many, each of which makes a variant."""
        return {self._key: value}

    def variants(self) -> Keys:
        """The whole range, each value of which makes a variant."""
        return self.value(range(self._low, self._high + 1, self._step))

    def random(self) -> Keys:
        """One value of the range, drawn."""
        return self._drawn(self._low, self._high)

    def high_random(self) -> Keys:
        """One value of the first third, drawn."""
        return self._drawn(self._low, self._second - self._step)

    def medium_random(self) -> Keys:
        """One value of the second third, drawn."""
        return self._drawn(self._second, self._last - self._step)

    def low_random(self) -> Keys:
        """One value of the last third, drawn."""
        return self._drawn(self._last, self._high)

    def _drawn(self, low: int, high: int) -> Keys:
        return self.value(self._step * between(low // self._step, high // self._step))


class Program:
    """A task binary with one number as its argument.

    :param quota: memory that it needs.
    :param usual: the largest argument that is drawn where nothing else is said.
    """

    def __init__(self, pkg: str, *, quota: str = "1M", usual: int) -> None:
        self._pkg = pkg
        self._quota = quota
        self._usual = usual

    def value(self, argument: Any) -> Keys:
        """The argument: one value, or many, each of which makes a variant."""
        return {"pkg": self._pkg, "quota": self._quota, "config": {"arg1": argument}}

    def variants(self, highest: int) -> Keys:
        """A variant for each argument from 1 to ``highest``."""
        return self.value(range(1, highest + 1))

    def random(self, highest: int | None = None) -> Keys:
        """An argument from 1 to ``highest``, drawn."""
        return self.value(between(1, self._usual if highest is None else highest))

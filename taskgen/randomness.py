"""Where blocks such as ``priority.Random`` draw from.

Inside of :func:`seeded` that is a generator of its own, so that a task-set can be drawn again;
outside it is one that starts anew in each process.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from taskgen.draws import draw


class RandomSource:
    """Numbers that depend on the seed and on how many were drawn before.

    :ivar seed: what to pass to :func:`seeded` to get the same numbers again.
    :ivar used: whether anything was drawn.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = secrets.randbits(62) if seed is None else seed
        self._drawn = 0

    @property
    def used(self) -> bool:
        return self._drawn > 0

    def between(self, low: int, high: int) -> int:
        """A number from ``low`` to ``high``, both included, each as likely as the others."""
        self._drawn += 1
        return low + draw(self.seed, self._drawn, high - low + 1)


_unseeded = RandomSource()
_current: ContextVar[RandomSource | None] = ContextVar("taskgen_random", default=None)


@contextmanager
def seeded(seed: int | None = None) -> Iterator[RandomSource]:
    """Let blocks draw from a fresh source in this context; ``None``: a seed is drawn."""
    source = RandomSource(seed)
    token = _current.set(source)
    try:
        yield source
    finally:
        _current.reset(token)


def between(low: int, high: int) -> int:
    """A random number from ``low`` to ``high``, both included, from the current source."""
    return (_current.get() or _unseeded).between(low, high)

"""Vectors from the unit cube with a given sum, uniformly: Stafford's method.

The vectors with the sum ``s`` fill a cut through the unit cube of ``n`` dimensions, which falls
apart into simplices. The method walks down the dimensions: in each it decides by the simplices'
volumes which kind to go on with, and then where in it the point lies.

R. Stafford, "Random vectors with fixed sum", MATLAB Central File Exchange 9700, 2006.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taskgen.generators.numeric import numpy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class FixedSum:
    """What depends on the number of values and on their sum only.

    :ivar probability: of stepping to the smaller kind, by dimension (row) and kind (column).
    """

    n: int
    total: float
    kind: int
    probability: Matrix

    @staticmethod
    def width(n: int) -> int:
        """Uniform numbers that one vector takes: to choose, to place, to shuffle."""
        return (n - 1) + (n - 1) + n

    @classmethod
    def table(cls, n: int, total: float) -> FixedSum:
        """Prepare for vectors of ``n >= 2`` values whose sum is ``total``, from 0 to ``n``."""
        np = numpy()
        kind = min(max(int(total), 0), n - 1)
        total = min(max(total, float(kind)), kind + 1.0)
        above = total - np.arange(kind, kind - n, -1.0)
        below = np.arange(kind + n, kind, -1.0) - total
        volume = np.zeros((n, n + 1))
        # Only ratios matter; beginning with the largest number keeps the smallest from vanishing.
        volume[0, 1] = sys.float_info.max
        probability = np.zeros((n - 1, n))
        for size in range(2, n + 1):
            inside = volume[size - 2, 1 : size + 1] * above[:size] / size
            outside = volume[size - 2, :size] * below[n - size : n] / size
            both = inside + outside
            volume[size - 1, 1 : size + 1] = both
            whole = both + sys.float_info.min
            # Of the two ways to the same ratio, the one that loses fewer digits.
            nearer = below[n - size : n] > above[:size]
            probability[size - 2, :size] = np.where(nearer, outside / whole, 1 - inside / whole)
        return cls(n, total, kind, probability)

    def rows(self, drawn: Matrix) -> Matrix:
        """A vector for each row of uniform numbers."""
        np = numpy()
        n, sets = self.n, len(drawn)
        choose, place, shuffle = (
            drawn[:, : n - 1],
            drawn[:, n - 1 : 2 * n - 2],
            drawn[:, 2 * n - 2 :],
        )
        vectors = np.empty((sets, n))
        left = np.full(sets, self.total)
        kind = np.full(sets, self.kind)
        offset = np.zeros(sets)
        scale = np.ones(sets)
        for step, size in enumerate(range(n - 1, 0, -1)):
            smaller = choose[:, step] <= self.probability[size - 1, kind]
            shrink = place[:, step] ** (1 / size)
            offset += (1 - shrink) * scale * left / (size + 1)
            scale *= shrink
            vectors[:, step] = offset + scale * smaller
            left -= smaller
            kind -= smaller
        vectors[:, n - 1] = offset + scale * left
        # So far, values depend on their position; which is which must be left to chance.
        np.clip(vectors, 0.0, 1.0, out=vectors)
        return np.take_along_axis(vectors, np.argsort(shuffle, axis=1), axis=1)  # type: ignore[no-any-return]

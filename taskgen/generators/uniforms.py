"""Random numbers by position: those of set ``i`` depend on the seed and on ``i`` alone.

Philox (J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
doi:10.1145/2063384.2063405) is a function of a key and of a counter. The key comes from the seed
and from what the numbers are for; each set has its own stretch of the counter. So any set can be
drawn without the others, and many at once give the same numbers as one by one.
"""

from __future__ import annotations

from hashlib import shake_256
from typing import TYPE_CHECKING

from taskgen.generators.numeric import numpy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: One step of Philox's counter gives so many numbers of 64 bits.
_WORDS = 4


def uniforms(seed: int, purpose: str, start: int, stop: int, width: int) -> NDArray[np.float64]:
    """Numbers from [0, 1), ``width`` for each of the sets from ``start`` to ``stop - 1``.

    numpy promises the raw words of a bit generator for good (NEP 19), but not what its
    distributions make of them; so the words are turned into numbers here.

    :param purpose: what they are for: another purpose, other numbers.
    """
    np = numpy()
    steps = -(-width // _WORDS)
    philox = np.random.Philox(key=_key(seed, purpose), counter=start * steps)
    words = philox.random_raw((stop - start) * steps * _WORDS)
    # The upper 53 bits: as many as the mantissa of a double has.
    numbers = (words >> np.uint64(11)) * 2.0**-53
    return numbers.reshape(stop - start, steps * _WORDS)[:, :width]  # type: ignore[no-any-return]


def _key(seed: int, purpose: str) -> int:
    return int.from_bytes(shake_256(f"{seed}/{purpose}".encode()).digest(16), "little")

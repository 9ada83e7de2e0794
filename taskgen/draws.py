"""Random draws that stay the same for good.

Python promises the sequence of ``random.random()`` for a seed, but not what ``sample`` and
``randrange`` make of it. A sample of variants belongs to a published measurement, so it is drawn
from SHAKE-256 (FIPS 202) instead, as a function of the seed and of a counter.
"""

from __future__ import annotations

from hashlib import shake_256

#: Further bits in each draw, so that the remainder favours no value by more than 2**-128.
_SURPLUS_BYTES = 16


def draw(seed: int, counter: int, below: int) -> int:
    """A number from 0 to ``below - 1``, each as likely as the others."""
    size = (below.bit_length() + 7) // 8 + _SURPLUS_BYTES
    digest = shake_256(f"{seed}/{counter}".encode()).digest(size)
    return int.from_bytes(digest, "little") % below


def draw_without_repetition(total: int, amount: int, seed: int) -> tuple[int, ...]:
    """``amount`` different numbers below ``total``, every selection and order equally likely.

    Takes time and memory for ``amount`` only. Selection: R. W. Floyd, in J. Bentley and B. Floyd,
    "A sample of brilliance", CACM 30(9), 1987, doi:10.1145/30401.315746; order: Fisher and Yates.
    """
    chosen: dict[int, None] = {}
    for top in range(total - amount, total):
        number = draw(seed, top, top + 1)
        chosen[top if number in chosen else number] = None
    numbers = list(chosen)
    for last in range(amount - 1, 0, -1):
        other = draw(seed, -last, last + 1)
        numbers[last], numbers[other] = numbers[other], numbers[last]
    return tuple(numbers)

"""How a total utilisation is shared out among tasks.

Each method is a frozen value whose :meth:`draw` returns one row for each set, and which says what
its rows are distributed like. "Uniform" is meant in the sense of area: of all vectors that satisfy
the method's bounds and sum up to the total, each is as likely as any other.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from taskgen.config import STRICT
from taskgen.errors import TaskSetError
from taskgen.generators.fixed_sum import FixedSum
from taskgen.generators.numeric import convolutionalfixedsum, numpy
from taskgen.generators.uniforms import uniforms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

#: Attempts at one set before UUniFast-Discard gives up.
MAX_ATTEMPTS = 10_000


class Utilisations(Protocol):
    """A way to share out a total."""

    method: ClassVar[str]

    def check(self, n_tasks: int, total: float) -> None:
        """Refuse what cannot be drawn.

        :raises TaskSetError: if no such vectors exist, or hardly any would be found.
        """

    def draw(self, seed: int, start: int, stop: int, n_tasks: int, total: float) -> Matrix:
        """One row of ``n_tasks`` utilisations for each set from ``start`` to ``stop - 1``."""


@dataclass(frozen=True)
class UUniFast:
    """Uniform over all vectors of positive utilisations; a single one may exceed 1.

    E. Bini and G. C. Buttazzo, "Measuring the performance of schedulability tests", Real-Time
    Systems 30, 2005, doi:10.1007/s11241-005-0507-9.
    """

    __pydantic_config__ = STRICT
    method: ClassVar[str] = "uunifast"

    def check(self, n_tasks: int, total: float) -> None:
        _check_total(total)

    def draw(self, seed: int, start: int, stop: int, n_tasks: int, total: float) -> Matrix:
        return _uunifast(uniforms(seed, self.method, start, stop, n_tasks - 1), total)


@dataclass(frozen=True)
class UUniFastDiscard:
    """Uniform over all vectors with no utilisation above ``highest``: UUniFast, drawn again where
    one is.

    R. I. Davis and A. Burns, "Improved priority assignment for global fixed priority pre-emptive
    scheduling in multiprocessor real-time systems", Real-Time Systems 47, 2011,
    doi:10.1007/s11241-010-9106-5. Slow where few vectors qualify, as for a total above half of
    ``n_tasks``: use :class:`RandFixedSum` there.
    """

    highest: float = 1.0

    __pydantic_config__ = STRICT
    method: ClassVar[str] = "uunifast-discard"

    def check(self, n_tasks: int, total: float) -> None:
        _check_total(total)
        _check_bounds(n_tasks, total, [0.0] * n_tasks, [self.highest] * n_tasks)

    def draw(self, seed: int, start: int, stop: int, n_tasks: int, total: float) -> Matrix:
        np = numpy()
        result = np.empty((stop - start, n_tasks))
        missing = np.arange(stop - start)
        for attempt in range(MAX_ATTEMPTS):
            purpose = f"{self.method}/{attempt}"
            # The numbers of an attempt are drawn for a whole stretch, so that they stay those of
            # each set alone; once few sets are left, one by one is less work.
            if len(missing) * 4 > stop - start:
                drawn = uniforms(seed, purpose, start, stop, n_tasks - 1)[missing]
            else:
                drawn = np.concatenate(
                    [
                        uniforms(seed, purpose, start + one, start + one + 1, n_tasks - 1)
                        for one in missing.tolist()
                    ]
                )
            rows = _uunifast(drawn, total)
            good = rows.max(axis=1) <= self.highest
            result[missing[good]] = rows[good]
            missing = missing[~good]
            if not len(missing):
                return result  # type: ignore[no-any-return]
        raise TaskSetError(
            f"UUniFast-Discard: no vector of {n_tasks} utilisations up to {self.highest} with the "
            f"sum {total} in {MAX_ATTEMPTS} attempts",
            hint="use the method randfixedsum",
        )


@dataclass(frozen=True)
class RandFixedSum:
    """Uniform over all vectors between two bounds that are the same for each task.

    R. Stafford, "Random vectors with fixed sum", MATLAB Central File Exchange 9700, 2006;
    P. Emberson, R. Stafford and R. I. Davis, "Techniques for the synthesis of multiprocessor
    tasksets", WATERS 2010.
    """

    lowest: float = 0.0
    highest: float = 1.0

    __pydantic_config__ = STRICT
    method: ClassVar[str] = "randfixedsum"

    def check(self, n_tasks: int, total: float) -> None:
        _check_total(total)
        _check_bounds(n_tasks, total, [self.lowest] * n_tasks, [self.highest] * n_tasks)

    def draw(self, seed: int, start: int, stop: int, n_tasks: int, total: float) -> Matrix:
        if n_tasks == 1:
            return numpy().full((stop - start, 1), total)  # type: ignore[no-any-return]
        spread = self.highest - self.lowest
        inside = FixedSum.table(n_tasks, (total - n_tasks * self.lowest) / spread)
        drawn = uniforms(seed, self.method, start, stop, FixedSum.width(n_tasks))
        return self.lowest + spread * inside.rows(drawn)


@dataclass(frozen=True)
class ConvolutionalFixedSum:
    """Uniform over all vectors between bounds of each task's own, to the precision of a numeric
    convolution with ``signal_size`` steps.

    D. Griffin and R. I. Davis, "ConvolutionalFixedSum: uniformly generating random values with a
    fixed sum subject to arbitrary constraints", RTAS 2025; by their library
    ``convolutionalfixedsum``. (Their earlier ``drs`` turned out not to be uniform.) Some ms each.
    """

    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    signal_size: int = 10_000

    __pydantic_config__ = STRICT
    method: ClassVar[str] = "convolutionalfixedsum"

    def check(self, n_tasks: int, total: float) -> None:
        _check_total(total)
        if not len(self.lowest) == len(self.highest) == n_tasks:
            raise TaskSetError(
                f"{len(self.lowest)} lower and {len(self.highest)} upper bounds for {n_tasks} tasks"
            )
        _check_bounds(n_tasks, total, list(self.lowest), list(self.highest))

    def draw(self, seed: int, start: int, stop: int, n_tasks: int, total: float) -> Matrix:
        np = numpy()
        if n_tasks == 1:
            return np.full((stop - start, 1), total)  # type: ignore[no-any-return]
        library = convolutionalfixedsum()
        seeds = uniforms(seed, self.method, start, stop, 1)[:, 0]
        rows = np.empty((stop - start, n_tasks))
        for row, own_seed in zip(rows, seeds.tolist(), strict=True):
            with _global_random(int(own_seed * 2**53)):
                row[:] = library.cfsn(
                    n_tasks, total, list(self.lowest), list(self.highest), self.signal_size
                )
        return rows  # type: ignore[no-any-return]


@contextmanager
def _global_random(seed: int) -> Iterator[None]:
    """The library draws from Python's global generator: seed it, and leave it as it was."""
    with _global_random_lock:
        state = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)


_global_random_lock = threading.Lock()


def _uunifast(drawn: Matrix, total: float) -> Matrix:
    """Bini and Buttazzo's recursion, written as a product.

    What is left after task ``i`` of ``n`` is ``total * r1**(1/(n-1)) * ... * ri**(1/(n-i))``.
    """
    np = numpy()
    sets, cuts = drawn.shape
    left = np.empty((sets, cuts + 2))
    left[:, 0] = total
    left[:, -1] = 0.0
    # The smallest step above 0, as 0 itself would leave nothing to all tasks behind it.
    positive = np.maximum(drawn, 2.0**-54)
    np.power(positive, 1.0 / np.arange(cuts, 0, -1), out=left[:, 1:-1])
    np.cumprod(left[:, :-1], axis=1, out=left[:, :-1])
    return left[:, :-1] - left[:, 1:]  # type: ignore[no-any-return]


def _check_total(total: float) -> None:
    if not 0 < total < float("inf"):
        raise TaskSetError(f"utilisation = {total}: must be above 0")


def _check_bounds(n_tasks: int, total: float, lowest: list[float], highest: list[float]) -> None:
    for low, high in zip(lowest, highest, strict=True):
        if not 0 <= low < high:
            raise TaskSetError(f"utilisations from {low} to {high}: there is nothing in between")
    if not sum(lowest) < total < sum(highest):
        raise TaskSetError(
            f"utilisation = {total}: {n_tasks} tasks with these bounds reach more than "
            f"{sum(lowest):g} and less than {sum(highest):g}"
        )

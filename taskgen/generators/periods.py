"""How periods are drawn: one uniform number makes one period, in whole ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from taskgen.config import STRICT
from taskgen.errors import TaskSetError
from taskgen.generators.numeric import numpy
from taskgen.keys import MAX_TIMER_MS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Periods(Protocol):
    """A distribution of periods. Its constructor refuses what makes no sense."""

    distribution: ClassVar[str]

    def draw(self, drawn: NDArray[np.float64]) -> NDArray[np.int64]:
        """A period in ms for each number from [0, 1)."""


@dataclass(frozen=True)
class Uniform:
    """Every multiple of ``step_ms`` from ``low_ms`` to ``high_ms`` is as likely as the others."""

    low_ms: int = 10
    high_ms: int = 1000
    step_ms: int = 1

    __pydantic_config__ = STRICT
    distribution: ClassVar[str] = "uniform"

    def __post_init__(self) -> None:
        _check_grid(self.low_ms, self.high_ms, self.step_ms)

    def draw(self, drawn: NDArray[np.float64]) -> NDArray[np.int64]:
        np = numpy()
        first, last = self.low_ms // self.step_ms, self.high_ms // self.step_ms
        return self.step_ms * (first + np.floor(drawn * (last - first + 1)).astype(np.int64))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class LogUniform:
    """As many periods in each order of magnitude: the logarithm is uniform.

    ``T = step * floor(exp(U[ln low, ln(high + step))) / step)``, from P. Emberson, R. Stafford and
    R. I. Davis, "Techniques for the synthesis of multiprocessor tasksets", WATERS 2010, section V.
    """

    low_ms: int = 10
    high_ms: int = 1000
    step_ms: int = 10

    __pydantic_config__ = STRICT
    distribution: ClassVar[str] = "log-uniform"

    def __post_init__(self) -> None:
        _check_grid(self.low_ms, self.high_ms, self.step_ms)

    def draw(self, drawn: NDArray[np.float64]) -> NDArray[np.int64]:
        np = numpy()
        low, high = np.log(self.low_ms), np.log(self.high_ms + self.step_ms)
        steps = np.floor(np.exp(low + drawn * (high - low)) / self.step_ms).astype(np.int64)
        # Rounding must not step over the ends.
        first, last = self.low_ms // self.step_ms, self.high_ms // self.step_ms
        return self.step_ms * np.clip(steps, first, last)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Listed:
    """One of ``values_ms``, each as likely as its weight says; without weights, all the same."""

    values_ms: tuple[int, ...]
    weights: tuple[float, ...] = ()

    __pydantic_config__ = STRICT
    distribution: ClassVar[str] = "listed"

    def __post_init__(self) -> None:
        if not self.values_ms:
            raise TaskSetError("periods: the list is empty")
        for value in self.values_ms:
            _check_period(value)
        if self.weights and len(self.weights) != len(self.values_ms):
            raise TaskSetError(
                f"periods: {len(self.weights)} weights for {len(self.values_ms)} values"
            )
        if self.weights and not (min(self.weights) >= 0 and 0 < sum(self.weights) < float("inf")):
            raise TaskSetError("periods: weights must not be negative, nor all of them 0")

    def draw(self, drawn: NDArray[np.float64]) -> NDArray[np.int64]:
        np = numpy()
        weights = np.array(self.weights or [1.0] * len(self.values_ms))
        ends = np.cumsum(weights) / weights.sum()
        which = np.searchsorted(ends[:-1], drawn, side="right")
        return np.array(self.values_ms, dtype=np.int64)[which]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Harmonic:
    """``base_ms * ratio**k`` with ``k`` below ``levels``: of two periods one divides the other."""

    base_ms: int = 10
    ratio: int = 2
    levels: int = 6

    __pydantic_config__ = STRICT
    distribution: ClassVar[str] = "harmonic"

    def __post_init__(self) -> None:
        if self.ratio < 2 or self.levels < 1:
            raise TaskSetError(
                "periods: harmonic needs a ratio of 2 or more and at least one level"
            )
        _check_period(self.base_ms)
        _check_period(self.base_ms * self.ratio ** (self.levels - 1))

    def draw(self, drawn: NDArray[np.float64]) -> NDArray[np.int64]:
        values = tuple(self.base_ms * self.ratio**level for level in range(self.levels))
        return Listed(values).draw(drawn)


@dataclass(frozen=True)
class Automotive:
    """The periods of an engine control unit, as often as its runnables have them.

    S. Kramer, D. Ziegenbein and A. Hamann, "Real world automotive benchmarks for free", WATERS
    2015, table III, without the 15 % of angle-synchronous runnables, which have no period. Half of
    the rest have 20 ms or less: choose a load that leaves whole ms of execution time.
    """

    __pydantic_config__ = STRICT
    distribution: ClassVar[str] = "automotive"

    #: Percent of all runnables, by period in ms.
    SHARES: ClassVar[dict[int, int]] = {
        1: 3,
        2: 2,
        5: 2,
        10: 25,
        20: 25,
        50: 3,
        100: 20,
        200: 1,
        1000: 4,
    }

    def draw(self, drawn: NDArray[np.float64]) -> NDArray[np.int64]:
        return Listed(tuple(self.SHARES), tuple(map(float, self.SHARES.values()))).draw(drawn)


def _check_period(value_ms: int) -> None:
    if isinstance(value_ms, bool) or not isinstance(value_ms, int):
        raise TaskSetError(f"periods: {value_ms!r} is not a whole number of ms")
    if not 1 <= value_ms <= MAX_TIMER_MS:
        raise TaskSetError(f"periods: {value_ms} ms: must be from 1 to {MAX_TIMER_MS}")


def _check_grid(low_ms: int, high_ms: int, step_ms: int) -> None:
    for value_ms in (low_ms, high_ms, step_ms):
        _check_period(value_ms)
    if low_ms % step_ms or high_ms % step_ms or high_ms < low_ms:
        raise TaskSetError(
            f"periods: {low_ms} to {high_ms} ms in steps of {step_ms} ms",
            hint="both ends must be multiples of the step",
        )

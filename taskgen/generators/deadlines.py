"""How relative deadlines are drawn: one uniform number makes one deadline, in whole ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from taskgen.config import STRICT
from taskgen.errors import TaskSetError
from taskgen.generators.numeric import numpy

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


class Deadlines(Protocol):
    """A distribution of deadlines."""

    distribution: ClassVar[str]

    def draw(self, drawn: NDArray[np.float64], execution: Integers, period: Integers) -> Integers:
        """A deadline in ms for each number from [0, 1), given execution times and periods."""


@dataclass(frozen=True)
class Implicit:
    """The deadline is the period."""

    __pydantic_config__ = STRICT
    distribution: ClassVar[str] = "implicit"

    def draw(self, drawn: NDArray[np.float64], execution: Integers, period: Integers) -> Integers:
        return period


@dataclass(frozen=True)
class Constrained:
    """Uniform from the execution time to the period, or from a later point on.

    :ivar from_share: 0 begins at the execution time, 0.5 halfway between it and the period.
    """

    from_share: float = 0.0

    __pydantic_config__ = STRICT
    distribution: ClassVar[str] = "constrained"

    def __post_init__(self) -> None:
        if not 0 <= self.from_share <= 1:
            raise TaskSetError(f"deadlines: from_share = {self.from_share}: must be from 0 to 1")

    def draw(self, drawn: NDArray[np.float64], execution: Integers, period: Integers) -> Integers:
        np = numpy()
        first = execution + np.rint(self.from_share * (period - execution)).astype(np.int64)
        return _between(drawn, first, period)


@dataclass(frozen=True)
class Arbitrary:
    """Uniform from the execution time to ``factor`` periods: some exceed their period.

    The reference guest refuses those; see :func:`taskgen.admission.linux_guest_refuses`.
    """

    factor: float = 2.0

    __pydantic_config__ = STRICT
    distribution: ClassVar[str] = "arbitrary"

    def __post_init__(self) -> None:
        if not 1 <= self.factor <= 100:
            raise TaskSetError(f"deadlines: factor = {self.factor}: must be from 1 to 100")

    def draw(self, drawn: NDArray[np.float64], execution: Integers, period: Integers) -> Integers:
        np = numpy()
        return _between(drawn, execution, np.floor(self.factor * period).astype(np.int64))


def _between(drawn: NDArray[np.float64], first: Integers, last: Integers) -> Integers:
    np = numpy()
    # An execution time above the period leaves no room: the later of both ends wins.
    room = np.maximum(last - first, 0) + 1
    return first + np.floor(drawn * room).astype(np.int64)  # type: ignore[no-any-return]

"""Everything that a generated sequence of task-sets depends on, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from taskgen.errors import TaskSetError
from taskgen.generators.deadlines import Arbitrary, Constrained, Deadlines, Implicit
from taskgen.generators.periods import (
    Automotive,
    Harmonic,
    Listed,
    LogUniform,
    Periods,
    Uniform,
)
from taskgen.generators.priorities import ASSIGNMENTS, check_levels
from taskgen.generators.utilisations import (
    ConvolutionalFixedSum,
    RandFixedSum,
    Utilisations,
    UUniFast,
    UUniFastDiscard,
)

#: Ways to share out the utilisation, by name.
METHODS: Mapping[str, type[Utilisations]] = {
    cls.method: cls for cls in (UUniFast, UUniFastDiscard, RandFixedSum, ConvolutionalFixedSum)
}
#: Distributions of periods, by name.
PERIODS: Mapping[str, type[Periods]] = {
    cls.distribution: cls for cls in (Uniform, LogUniform, Listed, Harmonic, Automotive)
}
#: Distributions of deadlines, by name.
DEADLINES: Mapping[str, type[Deadlines]] = {
    cls.distribution: cls for cls in (Implicit, Constrained, Arbitrary)
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to generate; see :func:`taskgen.generate.generate` for what each part means.

    :raises TaskSetError: if nothing can be generated like this.
    """

    n_tasks: int
    utilisation: float
    n_sets: int
    seed: int
    method: Utilisations = field(default_factory=UUniFastDiscard)
    periods: Periods = field(default_factory=LogUniform)
    deadlines: Deadlines = field(default_factory=Implicit)
    priorities: str | None = "rate-monotonic"
    load: float = 1.0

    def __post_init__(self) -> None:
        for name, lowest in (("n_tasks", 1), ("n_sets", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise TaskSetError(f"{name} = {value!r}: must be a whole number from {lowest}")
        if isinstance(self.utilisation, bool) or not isinstance(self.utilisation, (int, float)):
            raise TaskSetError(f"utilisation = {self.utilisation!r}: must be a number")
        if not 0 < self.load <= 1:
            raise TaskSetError(f"load = {self.load!r}: must be above 0 and at most 1")
        if self.priorities is not None:
            if self.priorities not in ASSIGNMENTS:
                raise TaskSetError(
                    f"priorities = {self.priorities!r}: must be one of {', '.join(ASSIGNMENTS)}",
                    hint="none at all selects EDF",
                )
            check_levels(self.n_tasks)
        self.method.check(self.n_tasks, float(self.utilisation))

    def to_data(self) -> dict[str, Any]:
        """The same in plain data, as documents have it."""
        data: dict[str, Any] = {
            "n_tasks": self.n_tasks,
            "utilisation": self.utilisation,
            "n_sets": self.n_sets,
            "seed": self.seed,
            "method": {"name": self.method.method, **_fields(self.method)},
            "periods": {"name": self.periods.distribution, **_fields(self.periods)},
            "deadlines": {"name": self.deadlines.distribution, **_fields(self.deadlines)},
            "load": self.load,
        }
        if self.priorities is not None:
            data["priorities"] = self.priorities
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any], where: str) -> Recipe:
        """Read what :meth:`to_data` wrote. Without ``priorities``, there are none.

        :param where: what to call it in the error message.
        :raises TaskSetError: naming the part that is wrong.
        """
        known = {
            "n_tasks", "utilisation", "n_sets", "seed", "method", "periods", "deadlines",
            "priorities", "load",
        }  # fmt: skip
        for name in data:
            if name not in known:
                raise TaskSetError(
                    f"{where}.{name}: there is no such key",
                    hint=f"keys: {', '.join(sorted(known))}",
                )
        parts = dict(data)
        for name in ("n_tasks", "utilisation", "n_sets", "seed"):
            if name not in parts:
                raise TaskSetError(f"{where}.{name}: is missing")
        for name, table in (("method", METHODS), ("periods", PERIODS), ("deadlines", DEADLINES)):
            if name in parts:
                parts[name] = named(parts[name], table, f"{where}.{name}")
        try:
            return cls(**{"priorities": None, **parts})
        except TaskSetError as error:
            raise TaskSetError(f"{where}: {error.message}", hint=error.hint) from error


def named(value: Any, table: Mapping[str, type[Any]], where: str) -> Any:
    """A part of a recipe from its name, or from a mapping with ``name`` and its numbers.

    :raises TaskSetError: if there is no such part, or its numbers make no sense.
    """
    if not isinstance(value, (str, Mapping)):
        return value
    fields = {"name": value} if isinstance(value, str) else dict(value)
    name = fields.pop("name", None)
    if name not in table:
        raise TaskSetError(f"{where} = {name!r}: must be one of {', '.join(table)}")
    try:
        return TypeAdapter(table[name]).validate_python(fields)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join([where, *(str(part) for part in first["loc"])])
        raise TaskSetError(f"{path} = {first['input']!r}: {first['msg']}") from error
    except TaskSetError as error:
        raise TaskSetError(f"{where}: {error.message}", hint=error.hint) from error


def _fields(part: Any) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(part).items()
    }

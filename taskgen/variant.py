"""One variant of a task-set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from taskgen.description import describe
from taskgen.frozen import FrozenMapping, thaw


class Variant:
    """One combination of a task-set's values. Its attributes cannot be set.

    Variants are equal if they have the same index and the same tasks. One that was pickled is
    whole by itself: it carries its own values, not the task-set.
    """

    # A walk over millions must cost little for each, so the rest is worked out when asked for.
    __slots__ = ("_index", "_source", "_tasks", "_values")

    _index: int
    _source: _Source
    _tasks: tuple[Mapping[str, Any], ...]
    _values: tuple[Any, ...]

    @property
    def index(self) -> int:
        """Position among all variants of the task-set, from 0; also in a slice or a sample."""
        return self._index

    @property
    def repetition(self) -> int:
        """Which repetition of its combination this is, from 0; see ``repeat``."""
        return self._index % self._source.repeat

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The values that vary, by ``<task id>.<key>``, as in ``1.period``."""
        return FrozenMapping(self._source.parameters(self._values))

    @property
    def tasks(self) -> tuple[Mapping[str, Any], ...]:
        """The tasks: every key present, defaults filled in, ``None`` where there is no default."""
        try:
            return self._tasks
        except AttributeError:
            self._tasks = self._source.tasks(self._values)
            return self._tasks

    def description(self) -> bytes:
        """The XML of ``SEND_DESCS``: ASCII, without a declaration."""
        return describe(self.tasks)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Variant):
            return NotImplemented
        return self._index == other._index and self.tasks == other.tasks

    def __hash__(self) -> int:
        return hash(self._index)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"<Variant {self._index}: {values}>" if values else f"<Variant {self._index}>"

    def __reduce__(self) -> tuple[Any, ...]:
        alone = _Alone(self._source.repeat, dict(self.parameters), self.tasks)
        return make, (alone, self._index, ())


class _Source(Protocol):
    """What turns values into tasks: a space, or what a pickled variant carries of it."""

    repeat: int

    def parameters(self, values: tuple[Any, ...]) -> dict[str, Any]: ...
    def tasks(self, values: tuple[Any, ...]) -> tuple[Mapping[str, Any], ...]: ...


class _Alone:
    """One combination without its space."""

    def __init__(
        self, repeat: int, parameters: dict[str, Any], tasks: tuple[Mapping[str, Any], ...]
    ) -> None:
        self.repeat = repeat
        self._parameters = parameters
        self._tasks = tasks

    def parameters(self, values: tuple[Any, ...]) -> dict[str, Any]:
        return self._parameters

    def tasks(self, values: tuple[Any, ...]) -> tuple[Mapping[str, Any], ...]:
        return self._tasks


def make(source: _Source, index: int, values: tuple[Any, ...]) -> Variant:
    variant = Variant()
    variant._source = source
    variant._index = index
    variant._values = values
    return variant


def thawed(variant: Variant) -> dict[str, Any]:
    """A variant in plain dictionaries and lists, as :mod:`json` wants it."""
    return {
        "index": variant.index,
        "parameters": thaw(variant.parameters),
        "tasks": thaw(variant.tasks),
    }

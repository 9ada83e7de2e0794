"""The combinations of a task-set's values: numbered, built one at a time, in a fixed order.

The order is that of nested loops, the last key innermost: tasks as they stand in the set, in each
the keys in the order of :data:`taskgen.keys.KEYS`, arguments as they stand in ``config``. Keys
that are coupled vary where the first of them stands. Streams come first of all, outermost, since
what is inside of a stream without end would never have its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, product
from math import prod
from typing import TYPE_CHECKING, Any

from taskgen.coupling import Group, Link
from taskgen.template import Template
from taskgen.values import Choice, Stream

if TYPE_CHECKING:
    from taskgen.task import Task

#: ``itertools.product`` copies what it walks; longer sequences are looped over instead.
MAX_POOL = 2**16

#: Where a value goes: position of the task in its set, path inside it.
Spot = tuple[int, str]


class Axis:
    """Values that vary together, and where they go.

    :ivar values: one value for each position if there is one spot, else a tuple of values.
    """

    __slots__ = ("spots", "values")

    def __init__(self, spots: tuple[Spot, ...], values: Any) -> None:
        self.spots = spots
        self.values = values


class Space:
    """All combinations of a task-set's values.

    Values of one combination are a tuple with an entry for each axis.

    :ivar count: how many combinations there are; ``None`` if nobody knows.
    :ivar repeat: how many variants each combination makes; they differ in their index only.
    """

    __slots__ = ("_axes", "_ids", "_inner", "_sizes", "_streams", "_templates", "count", "repeat")

    def __init__(self, tasks: Sequence[Task], repeat: int = 1) -> None:
        self.repeat = repeat
        self._ids = tuple(task.id for task in tasks)
        self._templates = [Template(task) for task in tasks]
        axes = list(_find_axes(tasks))
        self._streams = [axis for axis in axes if isinstance(axis.values, Stream)]
        self._axes = [axis for axis in axes if not isinstance(axis.values, Stream)]
        self._sizes = [len(axis.values) for axis in self._axes]
        self._inner = prod(self._sizes)
        self.count = None if self._streams else self._inner

    def at(self, number: int) -> tuple[Any, ...]:
        """The values of combination ``number``. Takes the same time for any number."""
        values = []
        for axis, size in zip(reversed(self._axes), reversed(self._sizes), strict=True):
            number, digit = divmod(number, size)
            values.append(axis.values[digit])
        values.reverse()
        return tuple(values)

    def walk(self, start: int = 0) -> Iterator[tuple[Any, ...]]:
        """The values of every combination from number ``start`` on, in order."""
        if not self._streams:
            return self._walk_axes(start)
        first, *others = (axis.values for axis in self._streams)
        outer, begin = divmod(start, self._inner)
        heads = islice(_nest(first, [_Replay(other) for other in others]), outer, None)
        return (
            head + tail
            for number, head in enumerate(heads)
            for tail in self._walk_axes(begin if number == 0 else 0)
        )

    def _walk_axes(self, start: int) -> Iterator[tuple[Any, ...]]:
        if start == 0:
            return _loop([axis.values for axis in self._axes])
        return (self.at(number) for number in range(start, self._inner))

    def parameters(self, values: tuple[Any, ...]) -> dict[str, Any]:
        """What varies, by ``<task id>.<path>``."""
        return {
            f"{self._ids[position]}.{path}": value
            for (position, path), value in self._assignments(values)
        }

    def tasks(self, values: tuple[Any, ...]) -> tuple[Mapping[str, Any], ...]:
        """The tasks with every key present, defaults filled in."""
        made: list[dict[str, Any]] = [{} for _ in self._templates]
        for (position, path), value in self._assignments(values):
            made[position][path] = value
        return tuple(
            template.filled(own) if own else template.fixed
            for template, own in zip(self._templates, made, strict=True)
        )

    def _assignments(self, values: tuple[Any, ...]) -> Iterator[tuple[Spot, Any]]:
        for axis, value in zip(chain(self._streams, self._axes), values, strict=True):
            if len(axis.spots) == 1:
                yield axis.spots[0], value
            else:
                yield from zip(axis.spots, value, strict=True)

    def find(self, parameters: Mapping[str, Any]) -> int | None:
        """The number of the first combination with these parameters, if there is one."""
        number = 0
        for axis, size in zip(self._axes, self._sizes, strict=True):
            names = [f"{self._ids[position]}.{path}" for position, path in axis.spots]
            try:
                wanted = tuple(parameters[name] for name in names)
                digit = axis.values.index(wanted if len(wanted) > 1 else wanted[0])
            except (KeyError, ValueError):
                return None
            number = number * size + digit
        return number if len(parameters) == sum(len(axis.spots) for axis in self._axes) else None


def _find_axes(tasks: Sequence[Task]) -> Iterator[Axis]:
    """What varies, in the order in which it does."""
    groups: dict[tuple[Group, int], list[tuple[Spot, int]]] = {}
    order: list[Axis | tuple[Group, int]] = []
    for position, task in enumerate(tasks):
        for path, value in task.paths():
            spot = (position, path)
            if isinstance(value, Link):
                which = (value.group, -1 if value.group.shared else position)
                if which not in groups:
                    order.append(which)
                groups.setdefault(which, []).append((spot, value.column))
            elif isinstance(value, Choice):
                order.append(Axis((spot,), value.values))
            elif isinstance(value, Stream):
                order.append(Axis((spot,), value))
    for entry in order:
        yield entry if isinstance(entry, Axis) else _axis_of(entry[0], groups[entry])


def _axis_of(group: Group, shares: list[tuple[Spot, int]]) -> Axis:
    spots = tuple(spot for spot, _ in shares)
    columns = tuple(column for _, column in shares)
    if len(columns) > 1 and columns == tuple(range(group.width)):
        return Axis(spots, group.rows)
    if len(columns) == 1:
        column = columns[0]
        return Axis(spots, Choice.of(group.rows, lambda row: row[column]))
    return Axis(spots, Choice.of(group.rows, lambda row: tuple(row[c] for c in columns)))


def _loop(pools: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """``itertools.product`` that does not copy long sequences."""
    long = [number for number, pool in enumerate(pools) if len(pool) > MAX_POOL]
    if not long:
        return product(*pools)
    split = long[0]
    before, after = pools[:split], pools[split + 1 :]
    return (
        (*head, value, *tail)
        for head in product(*before)
        for value in pools[split]
        for tail in _loop(after)
    )


def _nest(heads: Iterable[Any], others: Sequence[_Replay]) -> Iterator[tuple[Any, ...]]:
    """Nested loops over streams."""
    for head in heads:
        if not others:
            yield (head,)
        else:
            for tail in _nest(others[0], others[1:]):
                yield (head, *tail)


class _Replay:
    """Keeps what it draws, because an inner stream is walked once for each value outside."""

    def __init__(self, source: Iterable[Any]) -> None:
        self._source = iter(source)
        self._seen: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        yield from self._seen
        for value in self._source:
            self._seen.append(value)
            yield value

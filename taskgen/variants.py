"""The variants of a task-set, as a lazy sequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, overload

from taskgen.description import describe
from taskgen.draws import draw_without_repetition
from taskgen.errors import TaskSetError
from taskgen.frozen import FrozenMapping, thaw
from taskgen.space import Space


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
        return _make, (alone, self._index, ())


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


def _make(source: _Source, index: int, values: tuple[Any, ...]) -> Variant:
    variant = Variant()
    variant._source = source
    variant._index = index
    variant._values = values
    return variant


class Variants:
    """Variants by position: a lazy, immutable sequence, made by ``TaskSet.variants()``.

    Nothing is built before it is asked for, and ``v[i]`` takes the same time for any ``i``. Slices
    are sequences of this kind too. The order is that of nested loops with the last key innermost;
    repetitions of a variant follow each other.

    It has all of :class:`collections.abc.Sequence` except that ``count`` is a number, and
    ``index_of`` takes the place of ``index``.
    """

    #: Whether variants can be had by position.
    indexable = True

    __slots__ = ("_indices", "_source")

    def __init__(self, space: Space, indices: Sequence[int] | None = None) -> None:
        assert space.count is not None
        self._source = space
        self._indices = range(space.count * space.repeat) if indices is None else indices

    @property
    def count(self) -> int:
        """How many there are; unlike ``len()`` also above ``sys.maxsize``."""
        indices = self._indices
        if isinstance(indices, range):  # len() fails where the number is large
            return max(0, -((indices.start - indices.stop) // indices.step))
        return len(indices)

    def __len__(self) -> int:
        """How many there are.

        :raises OverflowError: above ``sys.maxsize``, as Python has it; see :attr:`count`.
        """
        return len(self._indices)

    def __bool__(self) -> bool:
        return self.count > 0

    @overload
    def __getitem__(self, position: int) -> Variant: ...
    @overload
    def __getitem__(self, position: slice) -> Variants: ...
    def __getitem__(self, position: int | slice) -> Variant | Variants:
        if isinstance(position, slice):
            return Variants(self._source, self._indices[position])
        try:
            return self._build(self._indices[position])
        except IndexError as error:
            raise IndexError(f"variant {position}: there are {self.count}") from error

    def __iter__(self) -> Iterator[Variant]:
        return self.walk()

    def walk(self, start: int = 0) -> Iterator[Variant]:
        """The variants from position ``start`` on, in order."""
        space, indices = self._source, self._indices
        assert space.count is not None
        if start == 0 and space.repeat == 1 and indices == range(space.count):
            return _build_all(space)
        rest = indices[start:]
        return (self._build(index) for index in rest)

    def index_of(self, variant: Variant) -> int:
        """The position of a variant in this sequence.

        It need not come from here: one with the same values is found by them, and where values
        occur twice, or variants repeat, the one with the same index is preferred.

        :raises ValueError: if there is none.
        """
        space = self._source
        number = space.find(variant.parameters)
        if number is not None:
            same = number * space.repeat + variant.repetition % space.repeat
            for index in (variant.index, same):
                try:
                    position = self._indices.index(index)
                except ValueError:
                    continue
                if self._build(index).tasks == variant.tasks:
                    return position
        raise ValueError(f"{variant!r} is not among these variants")

    def sample(self, n: int, seed: int) -> Variants:
        """``n`` of them at random, none twice, in random order; no other is built.

        A seed gives the same sample on any machine and with any version of Python.

        :raises TaskSetError: if there are fewer than ``n``.
        """
        if not 0 <= n <= self.count:
            raise TaskSetError(f"a sample of {n}: there are {self.count} variants")
        drawn = draw_without_repetition(self.count, n, seed)
        return Variants(self._source, tuple(self._indices[position] for position in drawn))

    def shard(self, k: int, n: int) -> Variants:
        """Part ``k`` (from 0) of ``n``: every ``n``-th variant. All parts together are the whole.

        :raises TaskSetError: if there is no such part.
        """
        _check_shard(k, n)
        return self[k::n]

    def __reversed__(self) -> Iterator[Variant]:
        return self[::-1].walk()

    def __contains__(self, variant: object) -> bool:
        try:
            return isinstance(variant, Variant) and self.index_of(variant) >= 0
        except ValueError:
            return False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Variants):
            return NotImplemented
        return self.count == other.count and all(
            one == two for one, two in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{self.count} variants>"

    def _build(self, index: int) -> Variant:
        return _make(self._source, index, self._source.at(index // self._source.repeat))


def _build_all(space: Space) -> Iterator[Variant]:
    for index, values in enumerate(space.walk()):
        variant = Variant()
        variant._source = space
        variant._index = index
        variant._values = values
        yield variant


class VariantStream:
    """Variants that come one after the other: nobody knows how many before they have come.

    Made by ``TaskSet.variants()`` where a key has an iterable without a length, or with
    ``where=``. A variant's index counts also those that ``where`` left out; so it is what to
    resume by.
    """

    #: Whether variants can be had by position.
    indexable = False

    #: How many there are: not known.
    count = None

    __slots__ = ("_shard", "_skip", "_source", "_where")

    def __init__(self, space: Space, where: Callable[[Variant], object] | None = None) -> None:
        self._source = space
        self._where = where
        self._skip = 0
        self._shard = (0, 1)

    def __iter__(self) -> Iterator[Variant]:
        return self.walk()

    def walk(self, start: int = 0) -> Iterator[Variant]:
        """The variants whose index is ``start`` or larger, in order.

        To go on after an interruption, start at the index of the last variant plus one. Only
        values of keys without a length are drawn again and dropped for that.

        :raises TaskSetError: if a source that can be drawn from once was used before.
        """
        return islice(self._walk(start), self._skip, None)

    def skip(self, n: int) -> VariantStream:
        """The same without the first ``n``."""
        return self._evolve(skip=self._skip + n)

    def shard(self, k: int, n: int) -> VariantStream:
        """Part ``k`` (from 0) of ``n``: those whose index leaves ``k`` when divided by ``n``.

        :raises TaskSetError: if there is no such part, or if this is a part already.
        """
        _check_shard(k, n)
        if self._shard != (0, 1) or self._skip:
            raise TaskSetError("only a whole stream of variants can be divided into parts")
        return self._evolve(shard=(k, n))

    def __repr__(self) -> str:
        return "<variants, one after the other>"

    def _evolve(self, *, skip: int = 0, shard: tuple[int, int] | None = None) -> VariantStream:
        stream = VariantStream(self._source, self._where)
        stream._skip = skip
        stream._shard = shard or self._shard
        return stream

    def _walk(self, start: int) -> Iterator[Variant]:
        space, where, (part, parts) = self._source, self._where, self._shard
        first = start // space.repeat
        for number, values in enumerate(space.walk(first), first):
            one = _make(space, number * space.repeat, values)
            if where is None or where(one):
                for index in range(one.index, one.index + space.repeat):
                    if index >= start and index % parts == part:
                        yield _make(space, index, values)


def _check_shard(k: int, n: int) -> None:
    if n < 1 or not 0 <= k < n:
        raise TaskSetError(f"part {k} of {n}: parts are numbered from 0 to one below their number")


def thawed(variant: Variant) -> dict[str, Any]:
    """A variant in plain dictionaries and lists, as :mod:`json` wants it."""
    return {
        "index": variant.index,
        "parameters": thaw(variant.parameters),
        "tasks": thaw(variant.tasks),
    }

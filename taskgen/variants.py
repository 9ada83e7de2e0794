"""The variants of a task-set by position, as a lazy sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from taskgen.draws import draw_without_repetition
from taskgen.errors import TaskSetError
from taskgen.space import Space
from taskgen.variant import Variant, make


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

        It need not come from here: one with the same values is found by them, which may take as
        long as reading all values of each key. One with the same index is preferred.

        :raises ValueError: if there is none.
        """
        position = self._position(variant.index, variant)
        if position is None:
            space = self._source
            number = space.find(variant.parameters)
            if number is not None:
                same = number * space.repeat + variant.repetition % space.repeat
                position = self._position(same, variant)
        if position is None:
            raise ValueError(f"{variant!r} is not among these variants")
        return position

    def _position(self, index: int, variant: Variant) -> int | None:
        """Where the variant with this index is, if it is here and has the same tasks."""
        try:
            position = self._indices.index(index)
        except ValueError:
            return None
        return position if self._build(index).tasks == variant.tasks else None

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
        check_shard(k, n)
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
        return make(self._source, index, self._source.at(index // self._source.repeat))


def _build_all(space: Space) -> Iterator[Variant]:
    for index, values in enumerate(space.walk()):
        variant = Variant()
        variant._source = space
        variant._index = index
        variant._values = values
        yield variant


def check_shard(k: int, n: int) -> None:
    """Refuse a part that does not exist."""
    if n < 1 or not 0 <= k < n:
        raise TaskSetError(f"part {k} of {n}: parts are numbered from 0 to one below their number")

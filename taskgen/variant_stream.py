"""The variants of a task-set one after the other, where their number cannot be known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from taskgen.errors import TaskSetError
from taskgen.space import Space
from taskgen.variant import Variant, make
from taskgen.variants import check_shard


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
        check_shard(k, n)
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
            one = make(space, number * space.repeat, values)
            if where is None or where(one):
                for index in range(one.index, one.index + space.repeat):
                    if index >= start and index % parts == part:
                        yield make(space, index, values)

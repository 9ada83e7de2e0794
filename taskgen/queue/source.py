"""The variants of a job by position, whatever they come from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Protocol

from taskgen.errors import TaskSetError
from taskgen.interfaces import Variant
from taskgen.queue.values import JobSpec, VariantSource
from taskgen.taskset import TaskSet
from taskgen.variant_stream import VariantStream
from taskgen.variants import Variants

#: SQLite's integers end here.
MAX_POSITION = 2**63 - 1


class Source(Protocol):
    """The variants of one job. Positions grow; they need not be without gaps.

    :ivar first: where it begins.
    :ivar total: how many there are; ``None`` if that is not known.
    """

    @property
    def first(self) -> int: ...

    @property
    def total(self) -> int | None: ...

    def next(self, cursor: int) -> tuple[int, Variant] | None:
        """The first variant whose position is ``cursor`` or larger; ``None`` behind the last.

        ``cursor`` is 1 more than the position that this gave last.

        :raises TaskSetError: if the task-set fails to give it.
        """

    def ended(self, cursor: int) -> bool:
        """Whether nothing is left from ``cursor`` on, as far as is known."""

    def at(self, position: int) -> Variant:
        """A variant that was given before.

        :raises TaskSetError: if the task-set cannot give it again.
        """


def source_of(spec: JobSpec) -> Source:
    """The variants that ``spec`` asks for.

    :raises TaskSetError: if the task-set is not valid, or has more variants than can be counted.
    """
    variants = (
        spec.taskset.variants(repeat=spec.repeat)
        if isinstance(spec.taskset, TaskSet)
        else spec.taskset
    )
    if isinstance(variants, Variants):
        return _Indexed(variants, spec.offset, spec.limit)
    return _Walked(variants, spec.offset, spec.limit)


class _Indexed:
    """Any variant at any time: nothing but a cursor has to be kept."""

    def __init__(self, variants: Variants, offset: int, limit: int | None) -> None:
        self._variants = variants
        self.first = min(offset, variants.count)
        left = variants.count - self.first
        self.total = left if limit is None else min(left, limit)
        self._end = self.first + self.total
        if self._end > MAX_POSITION:
            raise TaskSetError(
                f"{self.total} variants are more than a job can have", hint="give it a limit"
            )

    def next(self, cursor: int) -> tuple[int, Variant] | None:
        return None if self.ended(cursor) else (cursor, self._variants[cursor])

    def ended(self, cursor: int) -> bool:
        return cursor >= self._end

    def at(self, position: int) -> Variant:
        return self._variants[position]


class _Walked:
    """One variant after the other. What was given is forgotten, and walked to again if need be.

    The position is the variant's index where it is a stream of ours, and else counted.
    """

    def __init__(self, variants: VariantSource, offset: int, limit: int | None) -> None:
        self._variants = variants
        self._stop = None if limit is None else offset + limit
        self._rest = islice(self._numbered(), offset, self._stop)
        self._exhausted = False
        self.first = 0
        self.total: int | None = None
        if variants.count is not None:
            left = max(0, variants.count - offset)
            self.total = left if limit is None else min(left, limit)

    def next(self, cursor: int) -> tuple[int, Variant] | None:
        given = next(self._rest, None)
        self._exhausted = given is None
        return given

    def ended(self, cursor: int) -> bool:
        return self._exhausted

    def at(self, position: int) -> Variant:
        again = (variant for at, variant in self._numbered(position) if at == position)
        variant = next(again, None)
        if variant is None:
            raise TaskSetError(f"variant {position} cannot be had a second time")
        return variant

    def _numbered(self, start: int = 0) -> Iterator[tuple[int, Variant]]:
        if isinstance(self._variants, VariantStream):
            return ((variant.index, variant) for variant in self._variants.walk(start))
        return enumerate(self._variants)

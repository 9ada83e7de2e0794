"""Keys that vary together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taskgen.errors import TaskSetError
from taskgen.values import Choice, as_many


class Coupled:
    """Keys of one task that vary together, like ``zip``: a block for :class:`Task`.

    ``Coupled(period=[10, 20], deadline=[8, 15])`` makes two variants, not four. Names with dots
    go into a mapping: ``Coupled({"config.arg1": [1, 2]}, period=[10, 20])``.

    :raises TaskSetError: if a key has a single value, or another number of values than the first.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        self.columns: dict[str, Choice] = {}
        for name, values in {**(columns or {}), **more}.items():
            try:
                many = as_many(values)
            except TaskSetError as error:
                raise TaskSetError(
                    f"{name} = {values!r}: {error.message}", hint=error.hint
                ) from error
            if not isinstance(many, Choice):
                raise TaskSetError(f"{name} = {values!r}: coupled keys need a list of values each")
            self.columns[name] = many
        lengths = {name: len(values) for name, values in self.columns.items()}
        for name, length in lengths.items():
            first = next(iter(lengths))
            if length != lengths[first]:
                raise TaskSetError(
                    f"{name} has {length} values, {first} has {lengths[first]}",
                    hint="coupled keys vary together, so they need as many values as each other",
                )
        if not self.columns:
            raise TaskSetError("a coupling needs at least one key")

    def __repr__(self) -> str:
        return f"Coupled({self.columns!r})"


class Group:
    """The rows of a coupling, and which columns they have.

    :ivar shared: whether it couples keys of several tasks; else each task that holds a share in
        it (as copies of a task do) varies by itself.
    """

    __slots__ = ("rows", "shared", "width")

    def __init__(self, rows: Sequence[tuple[Any, ...]], width: int, *, shared: bool) -> None:
        self.rows = rows
        self.width = width
        self.shared = shared

    @classmethod
    def of_columns(cls, columns: Sequence[Choice], *, shared: bool) -> Group:
        """Rows put together from columns."""
        if all(isinstance(column.values, tuple) for column in columns):
            return cls(tuple(zip(*columns, strict=True)), len(columns), shared=shared)
        return cls(_Zip(columns), len(columns), shared=shared)


class Link:
    """A key's share in a group: the column that it takes its values from."""

    __slots__ = ("column", "group")

    def __init__(self, group: Group, column: int) -> None:
        self.group = group
        self.column = column

    @property
    def choice(self) -> Choice:
        """The values of this column alone."""
        column = self.column
        rows = self.group.rows
        if isinstance(rows, tuple):
            return Choice.of(tuple(row[column] for row in rows))
        return Choice.of(rows, lambda row: row[column])


class _Zip(Sequence[tuple[Any, ...]]):
    """``zip`` of sequences, indexable."""

    __slots__ = ("_columns",)

    def __init__(self, columns: Sequence[Sequence[Any]]) -> None:
        self._columns = columns

    def __len__(self) -> int:
        return len(self._columns[0])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Zip([column[index] for column in self._columns])
        return tuple(column[index] for column in self._columns)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*self._columns, strict=True)

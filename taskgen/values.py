"""What a key can hold besides one value: a choice or a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, overload

from taskgen.errors import TaskSetError
from taskgen.keys import Key, KeyType, find

Check = Callable[[Any], Any]


class Choice(Sequence[Any]):
    """Many values for one key, each of which makes variants: ``Choice(10, 20, 50)``.

    Lists, tuples, ranges and arrays become choices by themselves; write one for ``extra``, where
    a list is plain data. ``Choice.of(sequence)`` takes the values from a sequence without copying
    it, so that it may be as long as it likes; it must not change later.

    :raises TaskSetError: without any value.
    """

    __slots__ = ("_check", "_values")

    def __init__(self, *values: Any) -> None:
        self._values: Sequence[Any] = values
        self._check: Check | None = None
        if not values:
            raise TaskSetError("a choice needs at least one value")

    @classmethod
    def of(cls, values: Sequence[Any], check: Check | None = None) -> Choice:
        """A choice of what is in ``values``, each put through ``check`` when it is used."""
        choice = cls.__new__(cls)
        choice._values = values
        choice._check = check
        if not len(values):
            raise TaskSetError("a choice needs at least one value")
        return choice

    @property
    def values(self) -> Sequence[Any]:
        """The values in the form that is fastest to walk."""
        return self if self._check else self._values

    def checked(self, key: Key, where: str) -> Choice:
        """The same choice with every value allowed for ``key``.

        Tuples and ranges are checked now. Other sequences may be computed as they are read, and
        long: theirs are checked when they are used, and all of them by ``TaskSet.validate()``.

        :raises TaskSetError: naming the value that is not allowed.
        """
        values, check = self._values, self._check
        if isinstance(values, range) and key.type in (KeyType.INTEGER, KeyType.TREE):
            if key.type is KeyType.INTEGER:
                key.check(min(values[0], values[-1]), where)
                key.check(max(values[0], values[-1]), where)
            return self
        if isinstance(values, (tuple, list, range)):
            return Choice.of(tuple(key.check(value, where) for value in self))
        if check is None:
            return Choice.of(values, lambda value: key.check(value, where))
        return self

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Choice: ...
    def __getitem__(self, index: int | slice) -> Any:
        value = self._values[index]
        if isinstance(index, slice):
            return Choice.of(value, self._check)
        return self._check(value) if self._check else value

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[Any]:
        return map(self._check, self._values) if self._check else iter(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Choice):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if isinstance(self._values, tuple):
            return f"Choice{self._values!r}" if len(self) > 1 else f"Choice({self._values[0]!r})"
        return f"Choice.of({self._values!r})"


class Stream:
    """Values of unknown number, maybe without end, that come one after the other.

    Iterating draws them from the source again, as far as the source allows that.
    """

    __slots__ = ("_check", "_source", "_used", "_where")

    def __init__(self, source: Iterable[Any], check: Check, where: str) -> None:
        self._source = source
        self._check = check
        self._where = where
        self._used = False

    def __iter__(self) -> Iterator[Any]:
        iterator = iter(self._source)
        if iterator is self._source:  # a generator or the like: what was drawn is gone
            if self._used:
                raise TaskSetError(
                    f"{self._where}: its iterator was walked before, which works once only",
                    hint="give a list, a range, or an object that makes a new iterator each time",
                )
            self._used = True
        return map(self._check, iterator)

    def __repr__(self) -> str:
        return f"Stream({self._source!r})"


def as_many(value: Any) -> Any:
    """A choice for what holds many values at once, an iterable as it is, else the one value.

    :raises TaskSetError: for a set, which has no order that could be relied upon.
    """
    if hasattr(value, "tolist"):  # numpy's arrays and scalars, without importing numpy
        value = value.tolist()
    if isinstance(value, (Choice, str, bytes, Mapping)):
        return value
    if isinstance(value, (set, frozenset)):
        raise TaskSetError(
            "a set has no order, so its variants would have no fixed numbers",
            hint="use sorted(...)",
        )
    if isinstance(value, range):
        return Choice.of(value)
    if isinstance(value, Sequence):
        return Choice.of(tuple(value) if isinstance(value, list) else value)
    if isinstance(value, Iterable) and isinstance(value, Sized):
        return Choice.of(tuple(value))
    return value


def stored(path: str, value: Any, where: str | None = None) -> Any:
    """What a task keeps for ``path``: a checked value, a :class:`Choice` or a :class:`Stream`.

    :param where: what to call it in the error message, if not ``path``.
    :raises TaskSetError: if the key is unknown or a value is not allowed.
    """
    where = where or path
    key = find(path, where)
    if key.type is KeyType.DATA and not isinstance(value, Choice):
        return key.check(value, where)
    try:
        many = as_many(value)
    except TaskSetError as error:
        raise TaskSetError(f"{where} = {value!r}: {error.message}", hint=error.hint) from error
    varies = isinstance(many, Iterable) and not isinstance(many, (str, bytes, Mapping))
    if key.name == "id" and varies:
        raise TaskSetError(f"{where} = {value!r}: the id of a task cannot vary")
    if isinstance(many, Choice):
        return many.checked(key, where)
    if varies:
        return Stream(many, lambda item: key.check(item, where), where)
    return key.check(many, where)

"""A mapping that does not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


class FrozenMapping(Mapping[str, Any]):
    """Read-only, keeps the order, can be pickled (unlike ``types.MappingProxyType``)."""

    __slots__ = ("_data",)

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = dict(data)

    def __getitem__(self, name: str) -> Any:
        return self._data[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._data!r})"


def freeze(tree: Mapping[str, Any]) -> FrozenMapping:
    """The same content, the mappings inside frozen too."""
    return FrozenMapping(
        {name: freeze(item) if isinstance(item, dict) else item for name, item in tree.items()}
    )


def thaw(value: Any) -> Any:
    """The same content in plain dictionaries and lists, as :mod:`json` wants it."""
    if isinstance(value, Mapping):
        return {name: thaw(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [thaw(item) for item in value]
    return value

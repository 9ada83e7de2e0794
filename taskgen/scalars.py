"""Checks of single values: each returns the plain Python value that is kept, or raises."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from typing import Any

from taskgen.errors import TaskSetError
from taskgen.frozen import FrozenMapping

#: The wire has 16 bytes for a binary's name, the last of which is NUL.
MAX_PKG_BYTES = 15

_SIZE = re.compile(r"([1-9][0-9]{0,18})([KMG]?)")
_FACTORS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_PACKAGE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


def integer(value: Any, minimum: int, maximum: int, where: str) -> int:
    """A whole number within bounds; numpy's integers count, booleans and floats do not."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TaskSetError(f"{where} = {value!r}: must be a whole number")
    number = operator.index(value)
    if not minimum <= number <= maximum:
        raise TaskSetError(f"{where} = {number}: must be from {minimum} to {maximum}")
    return number


def size(value: Any, where: str) -> str:
    """A number of bytes as Genode writes it: ``512K``, ``1M``; an integer is taken as bytes."""
    if not isinstance(value, (str, bool)) and hasattr(value, "__index__"):
        value = str(operator.index(value))
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None or size_bytes(value) > 2**63:
        raise TaskSetError(
            f"{where} = {value!r}: is not a size",
            hint="a whole number above 0, followed by K, M, G or nothing",
        )
    return match[0]


def size_bytes(text: str) -> int:
    """How many bytes a checked size stands for."""
    return int(text.rstrip("KMG")) * _FACTORS[text[-1] if text[-1] in _FACTORS else ""]


def package(value: Any, where: str) -> str:
    """The name of a task binary: a plain file name that fits onto the wire."""
    name = _ascii(value, where)
    if len(name) > MAX_PKG_BYTES:
        raise TaskSetError(
            f"{where} = {name!r}: has {len(name)} bytes, the protocol has room for {MAX_PKG_BYTES}",
            hint="rename the binary",
        )
    if not _PACKAGE.fullmatch(name):
        raise TaskSetError(
            f"{where} = {name!r}: is not the name of a binary",
            hint="letters, digits and _ . + -, beginning with a letter, a digit or _",
        )
    return name


def argument(value: Any, where: str) -> int | float | str:
    """The text of an element of ``config``; printable ASCII only, as that is all that is sent."""
    if isinstance(value, bool):
        raise TaskSetError(f"{where} = {value!r}: servers differ in how they write a truth value",
                           hint='write "yes", "true" or 1')  # fmt: skip
    if isinstance(value, float):
        return _finite(value, where)
    if hasattr(value, "__index__"):
        return operator.index(value)
    return _ascii(value, where)


def data(value: Any, where: str) -> Any:
    """A value of ``extra``: what JSON and TOML can both write, made immutable."""
    if isinstance(value, str):
        return _encodable(value, where)
    if isinstance(value, bool):
        return value
    if hasattr(value, "tolist"):  # numpy's arrays and scalars, without importing numpy
        value = value.tolist()
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return _finite(value, where)
    if isinstance(value, (list, tuple)):
        return tuple(data(item, where) for item in value)
    if isinstance(value, Mapping):
        return FrozenMapping(
            {_encodable(str(name), where): data(item, where) for name, item in value.items()}
        )
    raise TaskSetError(
        f"{where} = {value!r}: cannot be kept with the results",
        hint="text, numbers, booleans, lists and mappings can",
    )


def _finite(value: float, where: str) -> float:
    if not math.isfinite(value):
        raise TaskSetError(f"{where} = {value!r}: must be finite")
    return float(value)


def _encodable(text: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TaskSetError(f"{where} = {text!r}: is not Unicode text") from error
    return text


def _ascii(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise TaskSetError(f"{where} = {value!r}: must be text")
    if not value.isascii():
        raise TaskSetError(f"{where} = {value!r}: has characters that are not ASCII")
    if not value.isprintable():
        raise TaskSetError(f"{where} = {value!r}: has characters that cannot be printed")
    return str(value)

"""Configuration files: TOML into frozen dataclasses, strictly.

Unknown keys are errors, with the nearest known key as a suggestion. A file is read whole or not at
all: nothing is changed by a bad one.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import field, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from taskgen.errors import ConfigError

T = TypeVar("T")

#: Put ``__pydantic_config__ = STRICT`` into each dataclass that a file is read into.
STRICT = ConfigDict(extra="forbid", frozen=True)

#: In a field's metadata: whether a running daemon takes a new value over.
LIVE = "live"


def live(default: T) -> T:
    """The default of a setting that a running daemon takes over when it reads its file again."""
    return field(default=default, metadata={LIVE: True})


def settle_words(settings: Any) -> None:
    """Make members of what stands as a plain word in a dataclass's fields of a ``StrEnum``.

    Files have that done by pydantic; whoever writes ``RunSettings(reset="snapshot")`` gets it here.

    :raises ValueError: naming the field, the word, and those that there are.
    """
    for name, kind in get_type_hints(type(settings)).items():
        value = getattr(settings, name)
        if not (isinstance(kind, type) and issubclass(kind, StrEnum)) or isinstance(value, kind):
            continue
        if value not in list(kind):
            words = ", ".join(repr(str(each)) for each in kind)
            raise ValueError(f"{name} must be one of {words}, not {value!r}")
        object.__setattr__(settings, name, kind(value))


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    :raises ConfigError: if it cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def convert(data: Mapping[str, Any], cls: type[T], *, source: str) -> T:
    """Make a ``cls``, a dataclass, from plain data.

    :param source: where the data come from, for the error message.
    :raises ConfigError: naming the first key that is wrong, its value, and what is allowed.
    """
    try:
        return TypeAdapter(cls).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            raise ConfigError(
                f"{source}: unknown key '{path}'", hint=_suggestion(cls, first["loc"])
            ) from error
        if first["type"] in ("missing", "missing_argument"):
            raise ConfigError(f"{source}: key '{path}' is missing") from error
        keys = _keys(data, first["loc"])
        every = [each for each in error.errors() if _keys(data, each["loc"]) == keys]
        reasons = dict.fromkeys(each["msg"].removeprefix("Value error, ") for each in every)
        raise ConfigError(
            f"{source}: {'.'.join(keys)} = {first['input']!r}: {'; or: '.join(reasons)}"
        ) from error


def load(path: Path, cls: type[T]) -> T:
    """Read a TOML file into a frozen dataclass.

    :raises ConfigError: naming the file and the key.
    """
    return convert(read_toml(path), cls, source=str(path))


def _keys(data: Any, location: tuple[int | str, ...]) -> list[str]:
    """Where an error is, without the kind of value that was tried there, of several."""
    keys = []
    for part in location:
        within = range(len(data)) if isinstance(data, list | tuple) else data
        if isinstance(within, Mapping | range) and part in within:
            data = data[part]
            keys.append(str(part))
    return keys


def _suggestion(cls: Any, location: tuple[int | str, ...]) -> str | None:
    *parents, unknown = (str(part) for part in location)
    for parent in parents:
        cls = get_type_hints(cls).get(parent) if is_dataclass(cls) else None
    if not is_dataclass(cls):
        return None
    known = [f.name for f in fields(cls)]
    near = difflib.get_close_matches(unknown, known, n=1)
    return f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"

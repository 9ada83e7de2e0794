"""Documents as text: TOML and JSON, read strictly, and written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from taskgen.errors import TaskSetError

#: What :func:`parse` and :func:`render` understand; also the names' endings.
FORMATS = ("toml", "json")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def form_of(path: Path) -> str:
    """``toml`` or ``json``, by the end of a file's name.

    :raises TaskSetError: if it is neither.
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise TaskSetError(f"{path}: the name must end in .toml or .json")
    return form


def read_text(path: Path) -> str:
    """The content of a file.

    :raises TaskSetError: if it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise TaskSetError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TaskSetError(f"{path}: is not UTF-8: {error.reason}") from error


def parse(text: str, form: str, source: str) -> Any:
    """Plain data from TOML or JSON.

    :raises TaskSetError: if it is neither, has a key twice, or a number that is none.
    """
    try:
        if form == "toml":
            return tomllib.loads(text)
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise TaskSetError(f"{source}: is nested too deeply") from error
    except ValueError as error:
        message = " ".join(str(error).split())
        raise TaskSetError(f"{source}: not valid {form.upper()}: {message}") from error


def render(document: Mapping[str, Any], form: str) -> str:
    """The document as text; plain data only, as :func:`taskgen.document_writer.write` makes it."""
    if form == "toml":
        return "\n".join(_toml(document)) + "\n"
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"the key {name!r} is there twice")
        table[name] = value
    return table


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _toml(document: Mapping[str, Any]) -> Iterator[str]:
    """Top-level values, then a table for each mapping and for each entry of ``task``."""
    for name, value in document.items():
        if not isinstance(value, Mapping) and name != "task":
            yield f"{_key(name)} = {_inline(value)}"
    for name, value in document.items():
        tables = value if name == "task" else [value] if isinstance(value, Mapping) else []
        for table in tables:
            yield ""
            yield f"[[{name}]]" if name == "task" else f"[{_key(name)}]"
            yield from (f"{_key(key)} = {_inline(item)}" for key, item in table.items())


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's, which also wants DEL escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(name)} = {_inline(item)}" for name, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return f"[{', '.join(map(_inline, value))}]"


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _inline(name)

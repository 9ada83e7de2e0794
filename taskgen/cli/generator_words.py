"""The parts of a generator as they are typed: ``log-uniform:10..1000``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, get_origin, get_type_hints

from taskgen.errors import TaskSetError
from taskgen.generators.priorities import ASSIGNMENTS
from taskgen.generators.recipe import named

#: Assignments of priorities by what people call them.
PRIORITIES: Mapping[str, str | None] = {
    "rm": "rate-monotonic",
    "dm": "deadline-monotonic",
    "none": None,
    **{name: name for name in ASSIGNMENTS},
}

_RANGE = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})(?:\.\.([0-9]{1,9}))?")


def distribution(text: str, table: Mapping[str, type[Any]], option: str) -> Any:
    """What ``NAME``, ``NAME:KEY=VALUE,…``, or one of the short forms means.

    The short forms are ``LOW..HIGH`` and ``LOW..HIGH..STEP`` for what has these, and values with
    commas between them for a list.

    :param table: all that there are, by name.
    :param option: that this was given for.
    :raises TaskSetError: naming the option, what is wrong, and what is allowed.
    """
    word, _, rest = text.partition(":")
    # People write loguniform, log_uniform and UUniFast.
    name = {_plain(each): each for each in table}.get(_plain(word))
    if name is None:
        near = difflib.get_close_matches(word, table, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of {', '.join(table)}"
        raise TaskSetError(f"--{option} {text}: there is no {word or 'name'}", hint=hint)
    try:
        numbers = _numbers(rest, table[name]) if rest else {}
        needed = [each.name for each in fields(table[name]) if each.default is MISSING]
        if missing := [each for each in needed if each not in numbers]:
            raise TaskSetError(f"{name} needs {' and '.join(missing)}", hint=_form(needed))
        return named({"name": name, **numbers}, table, name)
    except TaskSetError as error:
        raise TaskSetError(f"--{option} {text}: {error.message}", hint=error.hint) from error


def _plain(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")


def _numbers(text: str, cls: type[Any]) -> dict[str, Any]:
    names = [each.name for each in fields(cls)]
    hints = get_type_hints(cls)
    spread = _RANGE.fullmatch(text)
    if spread and names == ["low_ms", "high_ms", "step_ms"]:
        ends = (part for part in spread.groups() if part is not None)
        return dict(zip(names, map(int, ends), strict=False))
    if "values_ms" in names and "=" not in text:
        return {"values_ms": [_number(part) for part in text.split(",")]}
    numbers: dict[str, Any] = {}
    for item in text.split(","):
        name, equals, value = item.partition("=")
        if name not in names or not equals:
            hint = _form(names) if names else "it has none"
            raise TaskSetError(f"{item!r} is not one of its numbers", hint=hint)
        parts = [_number(part) for part in value.split("/")]
        many = get_origin(hints[name]) is tuple
        if len(parts) > 1 and not many:
            raise TaskSetError(f"{name} = {value}: must be one number")
        numbers[name] = parts if many else parts[0]
    return numbers


def _form(names: list[str]) -> str:
    return ",".join(f"{name}=…" for name in names)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError as error:
        raise TaskSetError(f"{text!r} is not a number") from error

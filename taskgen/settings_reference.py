"""The page of all settings, ``docs/configuration.md``, made from the dataclasses.

``python -m taskgen.settings_reference > docs/configuration.md`` writes it; a test compares.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
import types
from collections.abc import Iterator
from dataclasses import Field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from taskgen.config import LIVE
from taskgen.settings import SYSTEM_FILE, Settings

_HEAD = f"""\
# Configuration

<!-- Made by `python -m taskgen.settings_reference` from the docstrings in taskgen/settings.py. -->

One TOML file holds what can be set: the one that is named (`taskgen daemon --config FILE`), else
the one that `TASKGEN_CONFIG` names, else `{SYSTEM_FILE}` if it is there. Every
key has a default, and an environment variable that goes before the file. An unknown key, or a value
that makes no sense, is an error that names file and key; nothing is started or changed then.

```toml
[fleet]
max_machines = 8

[hosts]
addresses = ["172.25.1.0/24"]
```

A variable's value is written as in TOML, texts without quotation marks:
`TASKGEN_FLEET__MAX_MACHINES=8`, `TASKGEN_HOSTS__ADDRESSES='["172.25.1.0/24"]'`.

**Live** keys are taken over by a running daemon when it gets SIGHUP (`systemctl reload taskgend`).
The others need a restart; the daemon says which of them have changed.

Beside the keys, four variables say where things are: `TASKGEN_STATE` (what outlives a reboot,
`/var/lib/taskgen`), `TASKGEN_RUN` (what does not, `/run/taskgen`), `TASKGEN_PROFILES` (a directory
of your own machine profiles) and `TASKGEN_CONFIG` (this file).
"""

_TYPES = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}


def reference() -> str:
    """The page, as Markdown."""
    return "\n".join([_HEAD, *_sections()])


def _sections() -> Iterator[str]:
    hints = get_type_hints(Settings)
    for section in fields(Settings):
        yield from _section(section.name, hints[section.name])


def _section(name: str, cls: Any) -> Iterator[str]:
    about, meanings = _documented(cls)
    yield f"## [{name}]\n"
    if about:
        yield f"{textwrap.fill(_sentence(about), 100)}\n"
    hints = get_type_hints(cls)
    for each in fields(cls):
        yield f"### {name}.{each.name}\n"
        yield f"{textwrap.fill(_sentence(meanings[each.name]), 100)}\n"
        yield f"- type: {_type(hints[each.name])}"
        yield f"- default: {_default(each)}"
        yield f"- variable: `TASKGEN_{name.upper()}__{each.name.upper()}`"
        yield f"- live: {'yes' if each.metadata.get(LIVE) else 'no, needs a restart'}\n"


def _documented(cls: Any) -> tuple[str, dict[str, str]]:
    """What a docstring says of a section as a whole, and of each key."""
    head, *entries = re.split(r"^:ivar (?=\w+:)", inspect.getdoc(cls) or "", flags=re.MULTILINE)
    about = " ".join(head.split()).partition("``:")[2].strip()
    parts = (entry.partition(":") for entry in entries)
    return _code(about), {name: _code(" ".join(text.split())) for name, _, text in parts}


def _code(text: str) -> str:
    return text.replace("``", "`")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _type(hint: Any) -> str:
    if get_origin(hint) in (Union, types.UnionType):
        return " or ".join(_type(each) for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is Literal:
        return " or ".join(f"`{each}`" for each in get_args(hint))
    if get_origin(hint) is tuple:
        of = get_args(hint)[0]
        return "list of texts" + ("" if of is str else " and whole numbers")
    if issubclass(hint, StrEnum):
        return " or ".join(f"`{each.value}`" for each in hint)
    if issubclass(hint, Path):
        return "path"
    return _TYPES[hint.__name__]


def _default(each: Field[Any]) -> str:
    value = each.default
    if value is None:
        return "none given"
    return f"`{json.dumps(value)}`" + (" (empty)" if value in ("", ()) else "")


if __name__ == "__main__":
    print(reference(), end="")

"""What task-sets hold, as text for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from taskgen.cli.console import output
from taskgen.coupling import Link
from taskgen.frozen import thaw
from taskgen.generators.rows import GeneratedRows
from taskgen.taskset import TaskSet
from taskgen.values import Choice, Stream

#: More values than this are not all shown.
SHOWN_VALUES = 6


@dataclass(frozen=True)
class Axis:
    """What varies together, and how often; ``None``: nobody knows."""

    size: int | None
    names: list[str] = field(default_factory=list)


def emit(*parts: RenderableType) -> None:
    """Write to standard output. A reader who has left raises, unlike with rich's own."""
    console = output()
    with console.capture() as captured:
        for part in parts:
            console.print(part, highlight=False, soft_wrap=isinstance(part, Text))
    print(captured.get(), end="")


def one(value: Any) -> str:
    """One value in one line, of which no terminal takes anything for a command."""
    if value is None:
        return "-"
    if isinstance(value, (bool, Mapping, list, tuple)):
        return json.dumps(thaw(value))
    text = str(value)
    return text if text and text.isprintable() else json.dumps(text)


def many(values: Sequence[Any]) -> str:
    """The values of a choice: a range as ``--set`` has it, of others a few."""
    if isinstance(values, range) and len(values) > 2 and values.step > 0:
        step = f"..{values.step}" if values.step > 1 else ""
        return f"{values[0]}..{values[-1]}{step}"
    if len(values) > SHOWN_VALUES:
        first = ", ".join(one(values[number]) for number in range(SHOWN_VALUES - 2))
        return f"{first}, …, {one(values[-1])}"
    return ", ".join(one(value) for value in values)


def held(value: Any) -> str:
    """What a task holds for one of its paths."""
    if isinstance(value, Stream):
        return "one after the other"
    if isinstance(value, Link):
        drawn = isinstance(value.group.rows, GeneratedRows)
        return "generated" if drawn else many(value.choice.values)
    return many(value.values) if isinstance(value, Choice) else one(value)


def varies(value: Any) -> bool:
    """Whether a value of a task makes variants."""
    return isinstance(value, (Choice, Link, Stream))


def size(value: Choice | Link | Stream) -> int | None:
    """How many values there are; ``None``: nobody knows."""
    if isinstance(value, Stream):
        return None
    return len(value.group.rows if isinstance(value, Link) else value)


def axes(taskset: TaskSet) -> list[Axis]:
    """What varies in a task-set."""
    found: dict[object, Axis] = {}
    for task in taskset:
        for path, value in task.paths():
            name = f"{task.id}.{path}"
            which: object = name
            if isinstance(value, Link):
                which = (value.group, None if value.group.shared else task.id)
            if varies(value):
                found.setdefault(which, Axis(size(value))).names.append(name)
    return list(found.values())


def counted(number: int | None, noun: str) -> str:
    """As in ``1 variant``, ``2 variants``; ``None``: nobody knows."""
    if number is None:
        return f"an unknown number of {noun}s"
    return f"{number} {noun}{'' if number == 1 else 's'}"


def arithmetic(taskset: TaskSet) -> str:
    """How many variants there are, and why."""
    found = axes(taskset)
    parts = [f"{axis.size or '?'} ({_together(axis.names)})" for axis in found]
    total = counted(taskset.variants().count, "variant")
    if endless := [name for axis in found if axis.size is None for name in axis.names]:
        return f"{total}, as the values of {' and '.join(endless)} come one after the other"
    return f"{total} = {' x '.join(parts)}" if parts else f"{total}: nothing varies"


def _together(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"{', '.join(names[:4])}{more} together"

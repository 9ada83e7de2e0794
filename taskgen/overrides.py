"""Change keys of a task-set by text, as ``--set task.key=value`` does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from taskgen.errors import TaskSetError
from taskgen.keys import Key, KeyType, find
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.values import Choice

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")  # 007 stays text, as an argument may be
_RANGE = re.compile(r"(-?[0-9]{1,18})\.\.(-?[0-9]{1,18})(?:\.\.([1-9][0-9]{0,17}))?")


def apply_settings(taskset: TaskSet, settings: Iterable[str]) -> TaskSet:
    """A copy of ``taskset`` with some keys changed; later settings win.

    A setting is ``task.key=value``. The task is an id, a ``pkg``, or ``*`` for all tasks. The
    value is one value, several with commas between them (``10,20``), or a range with both ends
    included and maybe a step (``10..50``, ``10..50..20``); several make variants. A key that was
    coupled to others no longer is.

    :raises TaskSetError: naming the setting that cannot be used.
    """
    changed = taskset.copy()
    for setting in settings:
        target, equals, text = setting.partition("=")
        selector, dot, path = target.strip().partition(".")
        if not (equals and dot and selector and path):
            raise TaskSetError(f"--set {setting}: must be task.key=value", hint="as in 1.period=50")
        key = find(path, f"--set {setting}: {path}")
        try:
            value = _parse(text.strip(), key)
            for task in _selected(changed, selector):
                task[path] = value
        except TaskSetError as error:
            raise TaskSetError(f"--set {setting}: {error.message}", hint=error.hint) from error
    changed.validate()
    return changed


def _selected(taskset: TaskSet, selector: str) -> list[Task]:
    tasks = [
        task for task in taskset if selector in ("*", str(task.id)) or selector in _packages(task)
    ]
    if not tasks:
        known = ", ".join(f"{task.id} ({'/'.join(_packages(task))})" for task in taskset)
        raise TaskSetError(f"there is no task {selector}", hint=f"tasks: {known}; * for all")
    return tasks


def _packages(task: Task) -> list[str]:
    held = task.get("pkg")
    return list(held) if isinstance(held, Choice) else [held] if isinstance(held, str) else []


def _parse(text: str, key: Key) -> Any:
    if not text:
        raise TaskSetError(f"the value is missing; {key.name} takes {key.allowed}")
    spread = _RANGE.fullmatch(text)
    if spread and key.type in (KeyType.INTEGER, KeyType.TREE):
        first, last, step = int(spread[1]), int(spread[2]), int(spread[3] or 1)
        if last < first:
            raise TaskSetError(f"{text}: the range ends before it begins")
        return range(first, last + 1, step)
    values = [_scalar(part.strip(), key) for part in text.split(",")]
    return values[0] if len(values) == 1 else Choice(*values)


def _scalar(text: str, key: Key) -> Any:
    numeric = key.type in (KeyType.INTEGER, KeyType.TREE, KeyType.DATA)
    return int(text) if numeric and _INTEGER.fullmatch(text) else text

"""Checks of a task-set as a whole; single values are checked when they are set, if they can be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from taskgen.coupling import Link
from taskgen.errors import TaskgenError, TaskSetError
from taskgen.generators.rows import GeneratedRows
from taskgen.task import Task
from taskgen.values import Choice


def check_structure(tasks: Sequence[Task], name: str) -> None:
    """Refuse what has no tasks, a task without ``pkg``, or an id twice. Reads no values.

    :param name: of the task-set, for the error message.
    :raises TaskSetError: for the first thing that is wrong.
    """
    if not tasks:
        raise TaskSetError(f"task-set {name}: has no tasks")
    seen = set()
    for task in tasks:
        if task.id is None or task.id in seen:
            what = "has no id" if task.id is None else f"id {task.id} is used twice"
            raise TaskSetError(f"task-set {name}: a task {what}")
        seen.add(task.id)
        if "pkg" not in task:
            raise TaskSetError(
                f"task {task.id}: has no pkg", hint="pkg is the name of the task's binary"
            )


def check_values(tasks: Iterable[Task]) -> None:
    """Read every value of every sequence that computes its values, once each.

    :raises TaskSetError: for the first value that is not allowed, or cannot be had.
    """
    coupled: set[int] = set()
    for task in tasks:
        for path, held in task.paths():
            where = f"{task.id}.{path}"
            if isinstance(held, Choice):
                _read(held.values, where)
            elif isinstance(held, Link) and id(held.group) not in coupled:
                coupled.add(id(held.group))
                _read(held.group.rows, where)


def _read(values: Any, where: str) -> None:
    if isinstance(values, (tuple, range, GeneratedRows)):
        return  # checked when it was set, or made from what was checked
    try:
        for _ in values:
            pass
    except TaskgenError:
        raise
    except Exception as error:
        raise TaskSetError(f"{where}: its values cannot be read: {error}") from error

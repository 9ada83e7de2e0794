"""Task-sets as documents: plain data, in TOML or JSON, in which nothing can be executed.

::

    version = 1
    name = "two rates"

    [[task]]
    pkg = "idle"
    config = { arg1 = [5, 10] }
    period = { "$values" = [50, 100], "$coupled" = "rate" }
    priority = { "$range" = [0, 120, 40] }

A list holds values that make variants; inside of ``extra`` it is plain data, and ``$choice`` makes
variants. ``$range`` has a first value, a last one which is included, and maybe a step. Keys with
the same name under ``$coupled`` vary together, also those of different tasks. A table ``generate``
holds the arguments of :func:`taskgen.generate.generate`; see docs/tasksets.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from taskgen.coupling import Group, Link
from taskgen.errors import TaskSetError
from taskgen.generators.recipe import Recipe
from taskgen.generators.rows import GeneratedRows
from taskgen.scalars import data as plain_data
from taskgen.task import Task
from taskgen.values import Choice

#: The version that is written, and the only one so far.
VERSION = 1
#: How deep tables and lists may be nested.
MAX_DEPTH = 32

_TOP = ("version", "name", "metadata", "generate", "task")
_SPECIAL = ("$range", "$choice", "$values", "$coupled", "$generated")


@dataclass(frozen=True)
class Content:
    """What a document holds."""

    tasks: Sequence[Task]
    name: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def read(document: Any, source: str) -> Content:
    """The task-set that a document describes.

    :param source: where it comes from, for error messages.
    :raises TaskSetError: naming the place inside the document, what is there and what is allowed.
    """
    try:
        return _Reader(document).content()
    except TaskSetError as error:
        raise TaskSetError(f"{source}: {error.message}", hint=error.hint) from error


class _Reader:
    def __init__(self, document: Any) -> None:
        if not isinstance(document, Mapping):
            raise TaskSetError("must be a table at the top")
        _check_depth(document)
        for name in document:
            if name not in _TOP:
                raise TaskSetError(f"{name}: there is no such key", hint=f"keys: {', '.join(_TOP)}")
        version = document.get("version")
        if version != VERSION or isinstance(version, bool):
            raise TaskSetError(
                f"version = {version!r}: must be {VERSION}",
                hint="a newer Taskgen may have written it" if version else None,
            )
        self._document = document
        self._coupled: dict[str, list[tuple[Task, str, str]]] = {}
        self._generated: Group | None = None
        self._rows: GeneratedRows | None = None

    def content(self) -> Content:
        name = self._document.get("name")
        if not isinstance(name, (str, type(None))):
            raise TaskSetError(f"name = {name!r}: must be text")
        metadata = self._table(self._document.get("metadata", {}), "metadata")
        tasks = self._generate(self._document.get("generate"))
        listed = self._document.get("task", [])
        if not isinstance(listed, (list, tuple)):
            raise TaskSetError(f"task = {listed!r}: must be a list of tables")
        for number, table in enumerate(listed):
            tasks.append(self._task(table, f"task[{number}]"))
        for group, shares in self._coupled.items():
            self._couple(group, shares)
        return Content(tasks, name, plain_data(metadata, "metadata"))

    def _table(self, value: Any, where: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            raise TaskSetError(f"{where} = {value!r}: must be a table")
        return value

    def _generate(self, table: Any) -> list[Task]:
        if table is None:
            return []
        parts = dict(self._table(table, "generate"))
        template = parts.pop("task", None)
        argument = parts.pop("argument", None)
        if not isinstance(argument, (str, type(None))):
            raise TaskSetError(f"generate.argument = {argument!r}: must be text")
        self._rows = GeneratedRows(Recipe.from_data(parts, "generate"), argument)
        n_tasks = self._rows.recipe.n_tasks
        self._generated = Group(self._rows, n_tasks * len(self._rows.columns), shared=True)
        if template is None:
            return []
        tasks = []
        for number in range(1, n_tasks + 1):
            task = self._task(template, "generate.task")
            for column in self._rows.columns:
                self._set(task, column, {"$generated": f"{number}.{column}"}, "generate")
            tasks.append(task)
        return tasks

    def _task(self, table: Any, where: str) -> Task:
        task = Task()
        for name, value in self._table(table, where).items():
            self._set(task, str(name), value, where)
        return task

    def _set(self, task: Task, path: str, value: Any, where: str) -> None:
        if isinstance(value, Mapping) and not any(str(name).startswith("$") for name in value):
            if not value or ("." not in path and path not in ("config", "extra")):
                self._assign(task, path, value, where)
            for name, inner in value.items():
                if not isinstance(name, str) or "." in name:
                    raise TaskSetError(f"{where}.{path}: {name!r} is not a name")
                self._set(task, f"{path}.{name}", inner, where)
            return
        if not isinstance(value, Mapping):
            self._assign(task, path, value, where)
            return
        place = f"{where}.{path}"
        names = sorted(value)
        if names == ["$range"]:
            self._assign(task, path, Choice.of(_range(value["$range"], place)), where)
        elif names == ["$choice"]:
            self._assign(task, path, Choice(*_list(value["$choice"], place)), where)
        elif names == ["$coupled", "$values"]:
            self._assign(task, path, _many(value["$values"], f"{place}.$values"), where)
            if not isinstance(value["$coupled"], str):
                raise TaskSetError(f"{place}.$coupled = {value['$coupled']!r}: must be a name")
            self._coupled.setdefault(value["$coupled"], []).append((task, path, place))
        elif names == ["$generated"]:
            self._link_generated(task, path, value["$generated"], place)
        else:
            raise TaskSetError(
                f"{place} = {value!r}: is no way to give values",
                hint=f"{', '.join(_SPECIAL)}; $values and $coupled together",
            )

    def _assign(self, task: Task, path: str, value: Any, where: str) -> None:
        try:
            task[path] = value
        except TaskSetError as error:
            raise TaskSetError(f"{where}.{error.message}", hint=error.hint) from error

    def _couple(self, name: str, shares: list[tuple[Task, str, str]]) -> None:
        columns = [task[path] for task, path, _ in shares]
        for column, (_, _, place) in zip(columns, shares, strict=True):
            if len(column) != len(columns[0]):
                raise TaskSetError(
                    f"{place}: has {len(column)} values, {shares[0][2]} has {len(columns[0])}",
                    hint=f"both vary together as {name!r}",
                )
        shared = any(task is not shares[0][0] for task, _, _ in shares)
        group = Group.of_columns(columns, shared=shared)
        for column, (task, path, _) in enumerate(shares):
            task.link(path, Link(group, column))

    def _link_generated(self, task: Task, path: str, address: Any, place: str) -> None:
        if self._rows is None or self._generated is None:
            raise TaskSetError(f"{place}.$generated: there is no table 'generate'")
        number, _, column = str(address).partition(".")
        numbers = [str(each) for each in range(1, self._rows.recipe.n_tasks + 1)]
        if number not in numbers or column not in self._rows.columns or column != path:
            raise TaskSetError(
                f"{place}.$generated = {address!r}: must be <number>.{path}",
                hint=f"with 1 to {len(numbers)}, and one of {', '.join(self._rows.columns)}",
            )
        width = len(self._rows.columns)
        position = (int(number) - 1) * width + self._rows.columns.index(column)
        task.link(path, Link(self._generated, position))


def _check_depth(document: Any) -> None:
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise TaskSetError(f"is nested deeper than {MAX_DEPTH} levels")
        inner: list[Any] = []
        for node in level:
            if isinstance(node, Mapping):
                inner.extend(node.values())
            elif isinstance(node, (list, tuple)):
                inner.extend(node)
        level = inner


def _list(value: Any, place: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)) or not value:
        raise TaskSetError(f"{place} = {value!r}: must be a list of at least one value")
    return value


def _many(value: Any, place: str) -> Choice:
    if isinstance(value, Mapping) and list(value) == ["$range"]:
        return Choice.of(_range(value["$range"], place))
    return Choice(*_list(value, place))


def _range(value: Any, place: str) -> range:
    whole = isinstance(value, (list, tuple)) and all(type(part) is int for part in value)
    if not whole or len(value) not in (2, 3):
        raise TaskSetError(
            f"{place}: $range = {value!r}: must be [first, last] or [first, last, step]"
        )
    first, last, step = (*value, 1)[:3]
    if step == 0 or (last - first) * step < 0:
        raise TaskSetError(f"{place}: $range = {value!r}: ends before it begins")
    return range(first, last + (1 if step > 0 else -1), step)

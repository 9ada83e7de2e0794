"""Write a task-set as a document; see :mod:`taskgen.document` for what stands in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from taskgen.coupling import Group, Link
from taskgen.document import VERSION
from taskgen.errors import TaskSetError
from taskgen.frozen import thaw
from taskgen.generators.rows import GeneratedRows
from taskgen.scalars import data as plain_data
from taskgen.task import Task
from taskgen.values import Choice

#: The longest computed sequence that is written out value by value.
MAX_WRITTEN = 100_000


def write(tasks: Sequence[Task], name: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a task-set.

    :raises TaskSetError: for what no document can hold: iterables without a length, very long
        computed sequences, numbers of two generators.
    """
    document: dict[str, Any] = {"version": VERSION, "name": name}
    if metadata:
        document["metadata"] = thaw(plain_data(metadata, "metadata"))
    writer = _Writer()
    tables = [writer.task(task, position) for position, task in enumerate(tasks)]
    if writer.generated is not None:
        document["generate"] = writer.generated
    document["task"] = tables
    return document


class _Writer:
    def __init__(self) -> None:
        #: The table ``generate``, once something has been found to come from there.
        self.generated: dict[str, Any] | None = None
        self._rows: GeneratedRows | None = None
        self._names: dict[tuple[Group, int], str] = {}
        self._highest_id = 0

    def task(self, task: Task, position: int) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for path, held in task.paths():
            *parents, leaf = path.split(".")
            inner = table
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[leaf] = self._value(path, held, position, f"{task.id}.{path}")
        assigned = not task.id_is_given and task.id == self._highest_id + 1
        self._highest_id = max(self._highest_id, task.id or 0)
        if assigned:  # it will be assigned again
            del table["id"]
        return table

    def _value(self, path: str, held: Any, position: int, where: str) -> Any:
        if isinstance(held, Link):
            return self._linked(path, held, position, where)
        if isinstance(held, Choice):
            values = _written(held, where)
            inside_extra = path.startswith("extra.") and isinstance(values, list)
            return {"$choice": values} if inside_extra else values
        if isinstance(held, (str, int, float, tuple, Mapping)):
            return thaw(held)
        raise TaskSetError(
            f"{where}: an iterable without a length cannot be written into a document",
            hint="give a list or a range",
        )

    def _linked(self, path: str, held: Link, position: int, where: str) -> Any:
        rows = held.group.rows
        if isinstance(rows, GeneratedRows):
            if self._rows is None:
                self._rows = rows
                self.generated = rows.recipe.to_data()
                if rows.argument is not None:
                    self.generated["argument"] = rows.argument
            number, column = divmod(held.column, len(rows.columns))
            if self._rows is not rows or rows.columns[column] != path:
                raise TaskSetError(f"{where}: a document has room for one generator")
            return {"$generated": f"{number + 1}.{path}"}
        which = (held.group, -1 if held.group.shared else position)
        name = self._names.setdefault(which, f"c{len(self._names) + 1}")
        return {"$values": _written(held.choice, where), "$coupled": name}


def _written(choice: Choice, where: str) -> Any:
    values = choice.values
    if isinstance(values, range):
        last = values[-1]
        return {"$range": [values[0], last] + ([values.step] if values.step != 1 else [])}
    if not isinstance(values, tuple) and len(values) > MAX_WRITTEN:
        raise TaskSetError(
            f"{where}: {len(values)} computed values cannot be written into a document",
            hint="give a range",
        )
    return [thaw(value) for value in values]

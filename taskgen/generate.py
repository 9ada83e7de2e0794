"""Generate random task-sets, as an experiment needs them: many, reproducible, by number."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from typing import Any, overload

from taskgen.blocks import idle
from taskgen.coupling import Group
from taskgen.errors import TaskSetError
from taskgen.frozen import thaw
from taskgen.generators.deadlines import Deadlines
from taskgen.generators.periods import Periods
from taskgen.generators.recipe import DEADLINES, METHODS, PERIODS, Recipe, named
from taskgen.generators.rows import GeneratedRows
from taskgen.generators.utilisations import Utilisations
from taskgen.task import Block, Task
from taskgen.taskset import TaskSet
from taskgen.variant_stream import VariantStream
from taskgen.variants import Variants


def generate(
    *,
    n_tasks: int,
    utilisation: float,
    n_sets: int,
    seed: int,
    method: str | Mapping[str, Any] | Utilisations = "uunifast-discard",
    periods: str | Mapping[str, Any] | Periods = "log-uniform",
    deadlines: str | Mapping[str, Any] | Deadlines = "implicit",
    priorities: str | None = "rate-monotonic",
    task: Block = idle.Idle,
    argument: str | None = "config.arg1",
    load: float = 1.0,
) -> GeneratedTaskSets:
    """Random task-sets; set ``i`` depends on ``seed`` and ``i`` alone (and on the other arguments).

    :param n_tasks: tasks in each set.
    :param utilisation: what the tasks of a set use together, 1 being one processor.
    :param n_sets: how many sets; they are drawn when they are asked for.
    :param seed: from 0; the same seed gives the same sets for good.
    :param method: how ``utilisation`` is shared out: ``uunifast``, ``uunifast-discard``,
        ``randfixedsum``, ``convolutionalfixedsum``; see :mod:`taskgen.generators.utilisations`.
    :param periods: ``uniform``, ``log-uniform``, ``harmonic``, ``listed``, ``automotive``; see
        :mod:`taskgen.generators.periods`.
    :param deadlines: ``implicit``, ``constrained``, ``arbitrary``; see
        :mod:`taskgen.generators.deadlines`.
    :param priorities: ``rate-monotonic``, ``deadline-monotonic``, ``audsley``; ``None``: tasks have
        a ``deadline``, which selects EDF, in place of a ``priority``. With priorities the deadline
        is kept in ``extra.deadline_ms``, because a server would take it for EDF.
    :param task: what all tasks have besides; the binary should burn what it is told to.
    :param argument: where the task is told how many ms to burn; ``None``: nowhere.
    :param load: share of the execution time that it is told to burn.
    :raises TaskSetError: if no such sets exist. (That numpy is missing is found when a set is
        drawn.)

    Execution times are whole ms, at least 1: ``round(utilisation * period)``. The utilisation that
    was drawn is kept in ``extra.utilisation``.
    """
    recipe = Recipe(
        n_tasks=_integer(n_tasks),
        utilisation=utilisation,
        n_sets=_integer(n_sets),
        seed=_integer(seed),
        method=named(method, METHODS, "method"),
        periods=named(periods, PERIODS, "periods"),
        deadlines=named(deadlines, DEADLINES, "deadlines"),
        priorities=priorities,
        load=load,
    )
    return GeneratedTaskSets(GeneratedRows(recipe, argument), Task(task))


class GeneratedTaskSets:
    """A lazy sequence of task-sets. Slices are sequences of this kind too."""

    def __init__(self, rows: GeneratedRows, template: Task, numbers: range | None = None) -> None:
        self._rows = rows
        self._template = template
        self._numbers = range(len(rows)) if numbers is None else numbers

    @property
    def recipe(self) -> Recipe:
        """Everything that the numbers depend on."""
        return self._rows.recipe

    def taskset(self) -> TaskSet:
        """All sets as the variants of one task-set: variant ``i`` is set ``i``.

        Keys of the template that have many values multiply the variants. Parts of the sequence
        are had from the variants.

        :raises TaskSetError: for a slice.
        """
        if len(self._numbers) != len(self._rows):
            raise TaskSetError("a part of the generated sets is no task-set: slice its variants")
        whole = TaskSet([self._template] * self.recipe.n_tasks)
        whole.name = "Generated"
        whole.metadata = {"generator": thaw(self.recipe.to_data())}
        spots = [(task, column) for task in whole for column in self._rows.columns]
        whole.link(spots, Group(self._rows, len(spots), shared=True))
        return whole

    def variants(self, *, repeat: int = 1) -> Variants | VariantStream:
        """The variants of :meth:`taskset`."""
        return self.taskset().variants(repeat=repeat)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, position: int) -> TaskSet: ...
    @overload
    def __getitem__(self, position: slice) -> GeneratedTaskSets: ...
    def __getitem__(self, position: int | slice) -> TaskSet | GeneratedTaskSets:
        if isinstance(position, slice):
            return GeneratedTaskSets(self._rows, self._template, self._numbers[position])
        number = self._numbers[position]
        return self._set(number, self._rows[number])

    def __iter__(self) -> Iterator[TaskSet]:
        if self._numbers == range(len(self._rows)):
            return map(self._set, self._numbers, self._rows)
        return (self._set(number, self._rows[number]) for number in self._numbers)

    def __repr__(self) -> str:
        return f"<{len(self)} generated task-sets>"

    def _set(self, number: int, row: tuple[Any, ...]) -> TaskSet:
        one = TaskSet()
        width = len(self._rows.columns)
        for start in range(0, len(row), width):
            values = dict(zip(self._rows.columns, row[start : start + width], strict=True))
            one.append(Task(self._template, values))
        one.name = f"Generated {number}"
        one.metadata = {"generator": thaw(self.recipe.to_data()), "number": number}
        return one


def _integer(value: Any) -> Any:
    """numpy's integers as Python's; what is none is left to be refused."""
    return operator.index(value) if hasattr(value, "__index__") else value

"""The values of generated task-sets: one row for each set, drawn when it is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from taskgen.errors import TaskSetError
from taskgen.generators.numeric import numpy
from taskgen.generators.priorities import ASSIGNMENTS
from taskgen.generators.recipe import Recipe
from taskgen.generators.response_time import Load
from taskgen.generators.uniforms import uniforms
from taskgen.keys import KEYS, find

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

#: Sets whose utilisations are drawn at once, so that the numbers stay in the processor's cache.
_DRAWN = 4096
#: Sets that are drawn at once when all are walked.
_WALKED = 1024
#: Sets that are drawn at once, and kept, when one is asked for: its neighbours often are next.
_KEPT = 32

Row = tuple[Any, ...]


class GeneratedRows(Sequence[Row]):
    """A row for each set, which has the columns of task 1, then those of task 2, and so on.

    Each task has the columns ``columns``, in this order, which is that of the table of keys. The
    values need no check: the recipe was checked, and all it can lead to is allowed.

    :raises TaskSetError: if ``argument`` is not a part of ``config``.

    :ivar recipe: what the rows depend on, and all that they depend on.
    """

    def __init__(self, recipe: Recipe, argument: str | None) -> None:
        if argument is not None and (find(argument).name != "config" or "." not in argument):
            raise TaskSetError(f"argument = {argument!r}: must be a part of config")
        self.recipe = recipe
        self.argument = argument
        fixed = "deadline" if recipe.priorities is None else "priority"
        self.columns: tuple[str, ...] = (
            *([argument] if argument else []),
            "executiontime",
            "period",
            fixed,
            "extra.utilisation",
            *(["extra.deadline_ms"] if fixed == "priority" else []),
        )
        self._kept: tuple[int, list[Row]] = (0, [])

    def __len__(self) -> int:
        return self.recipe.n_sets

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[each] for each in range(len(self))[index]]
        number = range(len(self))[index]
        first, rows = self._kept
        if not first <= number < first + len(rows):
            first = number - number % _KEPT
            rows = self._rows(first, min(first + _KEPT, len(self)))
            self._kept = (first, rows)
        return rows[number - first]

    def __iter__(self) -> Iterator[Row]:
        for first in range(0, len(self), _WALKED):
            yield from self._rows(first, min(first + _WALKED, len(self)))

    def utilisations(self, start: int, stop: int) -> Matrix:
        """The utilisations that were drawn for sets ``start`` to ``stop - 1``: a row for each.

        Those of the tasks differ a little, because execution times are whole ms.
        """
        np = numpy()
        recipe = self.recipe
        result = np.empty((stop - start, recipe.n_tasks))
        for first in range(start, stop, _DRAWN):
            last = min(first + _DRAWN, stop)
            result[first - start : last - start] = recipe.method.draw(
                recipe.seed, first, last, recipe.n_tasks, float(recipe.utilisation)
            )
        return result  # type: ignore[no-any-return]

    def _rows(self, start: int, stop: int) -> list[Row]:
        np = numpy()
        recipe = self.recipe
        drawn = self.utilisations(start, stop)
        period = recipe.periods.draw(uniforms(recipe.seed, "periods", start, stop, recipe.n_tasks))
        longest = KEYS["executiontime"].maximum
        execution = np.clip(np.rint(drawn * period), 1, longest).astype(np.int64)
        deadline = recipe.deadlines.draw(
            uniforms(recipe.seed, "deadlines", start, stop, recipe.n_tasks), execution, period
        )
        deadline = np.minimum(deadline, KEYS["deadline"].maximum)
        by_set: list[list[list[Any]]] = [execution.tolist(), period.tolist()]
        if self.argument:
            burnt = np.maximum(np.floor(execution * recipe.load), 1).astype(np.int64)
            by_set.insert(0, burnt.tolist())
        if recipe.priorities is None:
            by_set += [deadline.tolist(), drawn.tolist()]
        else:
            priority = self._priorities(execution, period, deadline)
            by_set += [priority, drawn.tolist(), deadline.tolist()]
        return [
            tuple(chain.from_iterable(zip(*columns, strict=True)))
            for columns in zip(*by_set, strict=True)
        ]

    def _priorities(self, execution: Any, period: Any, deadline: Any) -> list[list[int]]:
        np = numpy()
        name = self.recipe.priorities
        assert name is not None
        ordered_by = {"rate-monotonic": period, "deadline-monotonic": deadline}.get(name)
        if ordered_by is not None:  # the same ranks as those of the function, for all sets at once
            order = np.argsort(ordered_by, axis=1, kind="stable")
            ranks = np.empty_like(order)
            np.put_along_axis(ranks, order, np.arange(order.shape[1])[None, :], axis=1)
            return ranks.tolist()  # type: ignore[no-any-return]
        return [
            ASSIGNMENTS[name]([Load(*task) for task in zip(*each, strict=True)])
            for each in zip(execution.tolist(), period.tolist(), deadline.tolist(), strict=True)
        ]

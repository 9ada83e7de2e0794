"""A task as variants show it: every key present, trees nested, nothing to be changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from taskgen.coupling import Link
from taskgen.frozen import FrozenMapping, freeze
from taskgen.keys import KEYS, KeyType
from taskgen.values import Choice, Stream

if TYPE_CHECKING:
    from taskgen.task import Task


class Template:
    """A task with room for what varies.

    :ivar fixed: the task with every key present, as it is where nothing varies.
    """

    __slots__ = ("_base", "_trees", "fixed")

    def __init__(self, task: Task) -> None:
        self._trees: dict[str, dict[str, Any]] = {
            name: {} for name, key in KEYS.items() if key.type in (KeyType.TREE, KeyType.DATA)
        }
        fixed: dict[str, Any] = {name: key.default for name, key in KEYS.items()}
        for path, value in task.paths():
            name = path.partition(".")[0]
            # What varies has its place too, so that arguments keep the order they were given in.
            kept = None if isinstance(value, (Link, Choice, Stream)) else value
            if name in self._trees:
                self._trees[name][path] = kept
            else:
                fixed[name] = kept
        for name, paths in self._trees.items():
            fixed[name] = _nested(paths)
        self._base = fixed
        self.fixed = FrozenMapping(fixed)

    def filled(self, values: dict[str, Any]) -> FrozenMapping:
        """The task with ``values`` for what varies."""
        task = dict(self._base)
        trees: dict[str, dict[str, Any]] = {}
        for path, value in values.items():
            if path in task:
                task[path] = value
            else:
                trees.setdefault(path.partition(".")[0], {})[path] = value
        for name, paths in trees.items():
            task[name] = _nested({**self._trees[name], **paths})
        return FrozenMapping(task)


def _nested(paths: Mapping[str, Any]) -> FrozenMapping:
    """The tree that paths such as ``config.a.b`` describe, without its root's name."""
    tree: dict[str, Any] = {}
    for path, value in paths.items():
        _, *parents, leaf = path.split(".")
        inner = tree
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = value
    return freeze(tree)

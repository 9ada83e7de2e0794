"""One task: a mapping of checked keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any, TypeAlias

from taskgen.coupling import Coupled, Group, Link
from taskgen.errors import TaskSetError
from taskgen.keys import KEYS, find
from taskgen.values import stored

#: What a task is built from: keys and values, keys that vary together, or what returns such.
Block: TypeAlias = "Mapping[str, Any] | Coupled | Callable[[], Block]"


class Task(MutableMapping[str, Any]):
    """A periodic real-time task, put together from blocks; later blocks win.

    ::

        Task(hey.HelloWorld, priority.Value(100), period=50)
        Task({"pkg": "pi", "config": {"arg1": range(1000, 5000, 1000)}, "period": [10, 20]})

    A block is a mapping, a :class:`~taskgen.coupling.Coupled`, or a function that returns one. A
    value may be one value or many: see :mod:`taskgen.values`. Parts of ``config`` and ``extra``
    are reached by dots, as in ``task["config.arg1"]``.

    The mapping has the keys that were given, in the order of :data:`taskgen.keys.KEYS`; defaults
    are filled in when a variant is made.

    :raises TaskSetError: for an unknown key or a value that is not allowed.
    """

    __slots__ = ("_id_is_given", "_values")

    def __init__(self, *blocks: Block, **keys: Any) -> None:
        self._values: dict[str, Any] = {}
        self._id_is_given = False
        self.update(*blocks, **keys)

    def update(self, *blocks: Block, **keys: Any) -> None:  # type: ignore[override]
        """Put further blocks on top of what is there."""
        for block in (*blocks, keys):
            content = block
            while callable(content):
                content = content()
            if isinstance(content, Task):
                self._take_over(content)
            elif isinstance(content, Coupled):
                self._couple(content)
            elif isinstance(content, Mapping):
                for name, value in content.items():
                    self[name] = value
            else:
                raise TaskSetError(
                    f"{content!r}: is not a block",
                    hint="a block is a mapping of keys, a coupling, or a function returning one",
                )

    def copy(self) -> Task:
        """A task of its own with the same content."""
        task = Task()
        task._take_over(self)
        task._id_is_given = self._id_is_given
        return task

    __copy__ = copy

    @property
    def id(self) -> int | None:
        """The number of the task in its set; ``None`` before it is in one."""
        number: int | None = self._values.get("id")
        return number

    @property
    def id_is_given(self) -> bool:
        """Whether the user chose the id; else the task-set assigned it and may do so again."""
        return self._id_is_given

    def assign_id(self, number: int) -> None:
        """Set an id that the user did not choose."""
        self["id"] = number
        self._id_is_given = False

    def paths(self) -> Iterator[tuple[str, Any]]:
        """Every path that was given, in the order in which values vary, with what it holds."""
        for name in self:
            for path, value in self._values.items():
                if path == name or path.startswith(name + "."):
                    yield path, value

    def link(self, path: str, link: Link) -> None:
        """Make ``path`` take its values from a coupling."""
        find(path)
        self._keep(path, link)

    def __setitem__(self, path: str, value: Any) -> None:
        find(path)
        if path.partition(".")[0] in ("config", "extra") and isinstance(value, Mapping):
            self._set_tree(path, value)
            return
        if path in ("config", "extra"):
            raise TaskSetError(f"{path} = {value!r}: must be {KEYS[path].allowed}")
        self._keep(path, stored(path, value))
        if path == "id":
            self._id_is_given = True

    def _set_tree(self, path: str, tree: Mapping[str, Any]) -> None:
        fresh = Task()  # so that a value which is refused leaves this task as it was
        for name, value in tree.items():
            if not isinstance(name, str) or "." in name:
                raise TaskSetError(f"{path}: {name!r} is not a name", hint="text without a dot")
            fresh[f"{path}.{name}"] = value
        self._drop(path)
        self._values.update(fresh._values)
        if not tree and "." in path:
            self._values[path] = stored(path, "" if path.startswith("config") else {})

    def __getitem__(self, path: str) -> Any:
        found = find(path).name
        if path in self._values:
            value = self._values[path]
            return value.choice if isinstance(value, Link) else value
        tree: dict[str, Any] = {}
        for name, value in self._values.items():
            if name.startswith(path + "."):
                *parents, leaf = name[len(path) + 1 :].split(".")
                inner = tree
                for parent in parents:
                    inner = inner.setdefault(parent, {})
                inner[leaf] = value.choice if isinstance(value, Link) else value
        if tree:
            return tree
        raise KeyError(path if found == path else f"{path} (of {found})")

    def __delitem__(self, path: str) -> None:
        if path not in self:
            raise KeyError(path)
        self._drop(path)

    def __contains__(self, path: object) -> bool:
        inside = f"{path}."
        return any(name == path or name.startswith(inside) for name in self._values)

    def __iter__(self) -> Iterator[str]:
        present = {path.partition(".")[0] for path in self._values}
        return (name for name in KEYS if name in present)

    def __len__(self) -> int:
        return len({path.partition(".")[0] for path in self._values})

    def __repr__(self) -> str:
        return f"Task({dict(self)!r})"

    def _couple(self, coupled: Coupled) -> None:
        columns = [choice.checked(find(path), path) for path, choice in coupled.columns.items()]
        if "id" in coupled.columns:
            raise TaskSetError("id: the id of a task cannot vary")
        group = Group.of_columns(columns, shared=False)
        for column, path in enumerate(coupled.columns):
            self.link(path, Link(group, column))

    def _take_over(self, other: Task) -> None:
        """Like a mapping block, but couplings stay couplings."""
        for name in other:
            self._drop(name)
        for path, value in other._values.items():
            self._values[path] = value
        self._id_is_given = self._id_is_given or other._id_is_given

    def _keep(self, path: str, value: Any) -> None:
        if path not in self._values:  # else it keeps its place among the arguments
            self._drop(path)
        self._values[path] = value

    def _drop(self, path: str) -> None:
        """Forget a path, what is below it, and a value that stands where its parent would be."""
        for name in list(self._values):
            if name == path or name.startswith(path + ".") or path.startswith(name + "."):
                del self._values[name]

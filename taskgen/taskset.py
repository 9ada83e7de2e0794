"""Sets of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, overload

from taskgen.coupling import Coupled, Group, Link
from taskgen.description import read
from taskgen.document import read as read_document
from taskgen.document_writer import write
from taskgen.errors import TaskSetError
from taskgen.files import form_of, parse, read_text, render
from taskgen.frozen import thaw
from taskgen.keys import find
from taskgen.randomness import seeded
from taskgen.space import Space
from taskgen.task import Block, Task
from taskgen.validation import check_structure, check_values
from taskgen.values import Choice
from taskgen.variant import Variant
from taskgen.variant_stream import VariantStream
from taskgen.variants import Variants


class TaskSet:
    """Tasks that run together.

    A set keeps copies of the tasks it is given, so one task can be put in twice. Tasks without an
    ``id`` get the next free one, counted from 1.

    :ivar name: for people; the class's name unless something else is set.
    :ivar metadata: what is worth keeping about the set, such as a seed; plain data, never sent.
    :raises TaskSetError: if an id is used twice.
    """

    def __init__(self, tasks: Iterable[Task | Mapping[str, Any]] = ()) -> None:
        self.name = type(self).__name__
        self.metadata: dict[str, Any] = {}
        self._tasks: list[Task] = []
        if isinstance(tasks, Mapping):
            raise TaskSetError("a task-set is made from a list of tasks", hint="TaskSet([task])")
        for task in tasks:
            self.append(task)

    @classmethod
    def from_description(cls, description: bytes) -> TaskSet:
        """Read back what :meth:`Variant.description` wrote.

        :raises TaskSetError: if it is not the XML of a task-set.
        """
        return TaskSet(Task(task) for task in read(description))

    @classmethod
    def load(cls, path: str | Path) -> TaskSet:
        """Read a document, as :meth:`dump` writes it and people do; TOML or JSON by its name.

        :raises TaskSetError: naming file, place inside it, value, and what is allowed.
        """
        path = Path(path)
        return cls.from_document(parse(read_text(path), form_of(path), str(path)), str(path))

    @classmethod
    def from_document(cls, document: Any, source: str = "document") -> TaskSet:
        """The task-set that a document describes, which is plain data; see :mod:`taskgen.document`.

        :param source: where it comes from, for error messages.
        :raises TaskSetError: naming the place inside the document, what is there and what is
            allowed.
        """
        content = read_document(document, source)
        try:
            taskset = TaskSet(content.tasks)
        except TaskSetError as error:
            raise TaskSetError(f"{source}: {error.message}", hint=error.hint) from error
        taskset.name = content.name or taskset.name
        taskset.metadata = thaw(content.metadata)
        return taskset

    def to_document(self) -> dict[str, Any]:
        """Plain data from which :meth:`from_document` makes the same variants.

        What a class derived from this one does besides is not in it.

        :raises TaskSetError: for what no document can hold, such as an iterable without a length.
        """
        return write(self._tasks, self.name, self.metadata)

    def whole_document(self) -> dict[str, Any]:
        """As :meth:`to_document`, for whoever has nothing but the document, such as a daemon.

        :raises TaskSetError: also for a derived class that makes its variants by itself.
        """
        if type(self).variants is not TaskSet.variants:
            raise TaskSetError(
                f"task-set {self.name}: makes its variants with code of its own, which no document"
                " can hold"
            )
        return self.to_document()

    def dump(self, path: str | Path) -> None:
        """Write the document into a file, TOML or JSON by its name.

        :raises TaskSetError: for what no document can hold, or if the file cannot be written.
        """
        path = Path(path)
        text = render(self.to_document(), form_of(path))
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise TaskSetError(f"{path}: cannot be written: {error.strerror}") from error

    def append(self, task: Task | Mapping[str, Any]) -> None:
        """Put a copy of ``task`` into the set.

        :raises TaskSetError: if the task brings an id that is in use.
        """
        own = Task(task)
        if own.id is None or not own.id_is_given:
            own.assign_id(max((other.id or 0 for other in self), default=0) + 1)
        elif any(own.id == other.id for other in self):
            raise TaskSetError(f"task id {own.id} is used twice", hint="leave out the ids")
        self._tasks.append(own)

    def couple(self, columns: Mapping[str, Any]) -> None:
        """Let keys of several tasks vary together, like ``zip``.

        :param columns: many values for each ``<task id>.<key>``, as in ``{"1.period": [10, 20],
            "2.period": [20, 40]}``.
        :raises TaskSetError: if there is no such task or key, or a value is not allowed.
        """
        raw = Coupled(columns)
        spots = [self._spot(name) for name in raw.columns]
        checked = [
            choice.checked(find(path, name), name)
            for (name, choice), (_, path) in zip(raw.columns.items(), spots, strict=True)
        ]
        self.link(spots, Group.of_columns(checked, shared=True))

    def link(self, spots: Iterable[tuple[Task, str]], group: Group) -> None:
        """Let keys take their values from the columns of ``group``, in the same order."""
        for column, (task, path) in enumerate(spots):
            task.link(path, Link(group, column))

    @overload
    def variants(self, *, where: None = None, repeat: int = 1) -> Variants | VariantStream: ...
    @overload
    def variants(self, *, where: Callable[[Variant], object], repeat: int = 1) -> VariantStream: ...
    def variants(
        self, *, where: Callable[[Variant], object] | None = None, repeat: int = 1
    ) -> Variants | VariantStream:
        """All combinations of the values, none of which is built before it is asked for.

        Later changes of the set do not touch the result.

        :param where: leave out variants for which it returns something false. The result then
            has no length and no positions.
        :param repeat: so many variants of each combination, one after the other.
        :returns: :class:`Variants`, or a :class:`VariantStream` (``indexable`` is false) where
            their number cannot be known: with ``where``, and for keys with an iterable that has
            no length.
        :raises TaskSetError: if the set is empty, a task has no ``pkg`` or an id is used twice.
        """
        if isinstance(repeat, bool) or not isinstance(repeat, int) or repeat < 1:
            raise TaskSetError(f"repeat = {repeat!r}: must be a whole number above 0")
        check_structure(self._tasks, self.name)
        space = Space(self._tasks, repeat)
        if where is not None or space.count is None:
            return VariantStream(space, where)
        return Variants(space)

    def validate(self) -> None:
        """Check everything that can be checked before the first variant is built.

        That is every value of every key, once each, however many variants they make. Values of
        keys without a length are checked when they are drawn.

        :raises TaskSetError: for the first thing that is wrong.
        """
        check_structure(self._tasks, self.name)
        check_values(self._tasks)

    def binaries(self) -> frozenset[str]:
        """Names of all task binaries that any variant needs, as far as they can be known."""
        names: set[str] = set()
        for task in self:
            held = task.get("pkg")
            if isinstance(held, Choice):
                names.update(held)
            elif isinstance(held, str):
                names.add(held)
        return frozenset(names)

    def copy(self) -> TaskSet:
        """A task-set of its own: changing one does not touch the other."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._tasks = [task.copy() for task in self]
        other.metadata = dict(self.metadata)
        return other

    __copy__ = copy

    def __add__(self, other: TaskSet) -> TaskSet:
        """The tasks of both. Ids that the second assigned are assigned anew; couplings stay.

        :raises TaskSetError: if an id that was given is used twice.
        """
        if not isinstance(other, TaskSet):
            return NotImplemented
        both = TaskSet(self)
        for task in other:
            both.append(task)
        both.name = f"{self.name}+{other.name}"
        both.metadata = {**self.metadata, **other.metadata}
        return both

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def __getitem__(self, position: int) -> Task:
        return self._tasks[position]

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} tasks>"

    def _spot(self, name: str) -> tuple[Task, str]:
        number, _, path = name.partition(".")
        for task in self:
            if str(task.id) == number and path:
                return task, path
        ids = ", ".join(str(task.id) for task in self)
        raise TaskSetError(f"{name}: no such task", hint=f"<task id>.<key>, with ids {ids}")


class BlockTaskSet(TaskSet):
    """One task for each combination of blocks.

    ``BlockTaskSet(hey.HelloWorld, [priority.Value(10), priority.Value(20)])`` has two tasks: a
    list holds alternatives, all else is in every task. (A list of values inside a block makes
    variants; a list of blocks makes tasks.)

    :param seed: for blocks that draw random values; kept in ``metadata["seed"]``. One is drawn
        where none is given.
    """

    def __init__(self, *blocks: Block | list[Block], seed: int | None = None) -> None:
        super().__init__()
        alternatives = [block if isinstance(block, list) else [block] for block in blocks]
        with seeded(seed) as source:
            for combination in product(*alternatives):
                self.append(Task(*combination))
        if source.used:
            self.metadata["seed"] = source.seed

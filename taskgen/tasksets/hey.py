"""The binary ``hey`` in seven task-sets, from the plainest on."""

from __future__ import annotations

from taskgen.blocks import hey, period, priority
from taskgen.task import Task
from taskgen.taskset import BlockTaskSet, TaskSet


class Hey0TaskSet(TaskSet):
    """One task, static: a plain mapping of keys."""

    def __init__(self) -> None:
        super().__init__(
            [
                Task(
                    {
                        "id": 1,
                        "pkg": "hey",
                        "quota": "1M",
                        "config": {},
                        "executiontime": 10,
                        "criticaltime": 0,
                        "period": 0,
                        "priority": 10,
                    }
                )
            ]
        )


class Hey1TaskSet(TaskSet):
    """One task, from blocks."""

    def __init__(self) -> None:
        super().__init__([Task(hey.HelloWorld, priority.Value(100), period.Value(0))])


class Hey2TaskSet(BlockTaskSet):
    """The same by a task-set that is made from blocks."""

    def __init__(self) -> None:
        super().__init__(hey.HelloWorld, priority.Value(100), period.Value(0))


class Hey3TaskSet(BlockTaskSet):
    """Two tasks: one for each period."""

    def __init__(self) -> None:
        super().__init__(hey.HelloWorld, priority.Value(100), [period.Value(0), period.Value(50)])


class Hey4TaskSet(BlockTaskSet):
    """Four tasks: each of two priorities with each of two periods."""

    def __init__(self) -> None:
        super().__init__(
            hey.HelloWorld,
            [priority.Value(10), priority.Value(100)],
            [period.Value(0), period.Value(50)],
        )


class Hey5TaskSet(BlockTaskSet):
    """One task with a random priority.

    :param seed: to draw the same one again.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(hey.HelloWorld, priority.Random, period.Value(50), seed=seed)


class Hey6TaskSet(BlockTaskSet):
    """One task, a variant for each of the 128 priorities."""

    def __init__(self) -> None:
        super().__init__(hey.HelloWorld, priority.Variants, period.Value(0))

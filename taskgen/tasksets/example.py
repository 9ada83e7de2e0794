"""One task-set for each task binary, and one for each thing that a task-set can do."""

from __future__ import annotations

from taskgen.blocks import (
    cond_42,
    cond_mod,
    hey,
    idle,
    jobs,
    linpack,
    namaste,
    period,
    pi,
    priority,
    tumatmul,
)
from taskgen.coupling import Coupled
from taskgen.generate import generate
from taskgen.generators.periods import Harmonic
from taskgen.task import Task
from taskgen.taskset import BlockTaskSet, TaskSet


class Demo(TaskSet):
    """A load that takes the processor from a greeter: 8 variants of about a second each.

    Task 1 burns a little or most of every 60 ms. Task 2 says hey, more urgently than the load or
    less. Where it is less urgent, the heavy load makes it miss deadlines.
    """

    def __init__(self) -> None:
        load = Task(idle.Value([10, 40]), period.Value(60), jobs.Value(15), priority.Value(50))
        greeter = Task(
            hey.HelloWorld, period.Value([20, 30]), jobs.Value(30), priority.Value([10, 90])
        )
        super().__init__([load, greeter])


class Hey(BlockTaskSet):
    """``hey`` ten times, every 50 ms."""

    def __init__(self) -> None:
        super().__init__(hey.HelloWorld, period.Value(50), jobs.Value(10))


class Namaste(BlockTaskSet):
    """``namaste`` ten times, every 50 ms."""

    def __init__(self) -> None:
        super().__init__(namaste.HelloWorld, period.Value(50), jobs.Value(10))


class Pi(BlockTaskSet):
    """``pi`` with three lengths of its series."""

    def __init__(self) -> None:
        super().__init__(pi.Value([1_000, 10_000, 100_000]), period.Value(100), jobs.Value(5))


class Linpack(BlockTaskSet):
    """``linpack`` with three sizes of its matrix."""

    def __init__(self) -> None:
        super().__init__(linpack.Value([25, 50, 100]), period.Value(200), jobs.Value(5))


class Tumatmul(BlockTaskSet):
    """``tumatmul`` with three sizes of its matrices."""

    def __init__(self) -> None:
        super().__init__(tumatmul.Value([10, 20, 40]), period.Value(200), jobs.Value(5))


class Cond42(BlockTaskSet):
    """``cond_42``, which ends at once only for 42."""

    def __init__(self) -> None:
        super().__init__(cond_42.Value([41, 42, 43]), period.Value(200), jobs.Value(5))


class CondMod(BlockTaskSet):
    """``cond_mod``, which ends at once only for even numbers."""

    def __init__(self) -> None:
        super().__init__(cond_mod.Value([1, 2, 3]), period.Value(200), jobs.Value(5))


class Idle(BlockTaskSet):
    """``idle`` burning 10, 20 and 30 of 50 ms."""

    def __init__(self) -> None:
        super().__init__(idle.Value([10, 20, 30]), period.Value(50), jobs.Value(10))


class Coupling(BlockTaskSet):
    """Keys that vary together: the same load in small and in large portions, in 3 variants."""

    def __init__(self) -> None:
        super().__init__(
            idle.Value(5),
            Coupled({"config.arg1": [5, 10, 20]}, period=[25, 50, 100]),
            jobs.Value(8),
        )


class CouplingOfTasks(TaskSet):
    """Keys of two tasks that vary together: they trade their rates and priorities."""

    def __init__(self) -> None:
        super().__init__([Task(idle.Value(5), jobs.Value(8)), Task(idle.Value(5), jobs.Value(8))])
        self.couple(
            {
                "1.period": [25, 50, 100],
                "1.priority": [10, 40, 90],
                "2.period": [100, 50, 25],
                "2.priority": [90, 50, 10],
            }
        )


class Deadlines(TaskSet):
    """Earliest deadline first: the deadline shrinks from the period towards the execution time."""

    def __init__(self) -> None:
        super().__init__(
            [
                Task(
                    idle.Value(8),
                    period.Value(50),
                    jobs.Value(10),
                    executiontime=15,
                    deadline=[50, 40, 30, 20],
                ),
                Task(hey.HelloWorld, period.Value(100), jobs.Value(5), deadline=100),
            ]
        )


class Generated(TaskSet):
    """Random sets of four tasks that use 70 % of a processor: 100 variants, one for each set.

    The harmonic periods make runs of a few seconds; see :func:`taskgen.generate.generate`.
    """

    def __init__(self) -> None:
        sets = generate(
            n_tasks=4,
            utilisation=0.7,
            n_sets=100,
            seed=1,
            periods=Harmonic(base_ms=20, ratio=2, levels=4),
            task=Task(idle.Idle, jobs.Value(10)),
            load=0.8,
        )
        super().__init__(sets.taskset())
        self.metadata["seed"] = sets.recipe.seed

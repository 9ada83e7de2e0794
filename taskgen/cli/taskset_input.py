"""How the commands of ``taskgen taskset`` get at a task-set and its variants."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from taskgen.errors import TaskgenError, TaskSetError
from taskgen.overrides import apply_settings
from taskgen.taskset import TaskSet
from taskgen.taskset_names import load_taskset
from taskgen.variant import Variant

#: The option ``--set``, as ``taskgen run`` has it.
set_option = click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="TASK.KEY=VALUE",
    help="Change a key: 1.period=50, hey.priority=10,20 or *.period=10..50..10.",
)


def load(name: str, changes: Iterable[str] = ()) -> TaskSet:
    """The task-set that ``taskgen run`` would take for these arguments.

    :raises TaskSetError: if there is none, or it cannot be changed so.
    """
    taskset = load_taskset(name, directory=Path.cwd())
    changes = tuple(changes)
    # Changing reads every value once, and there may be very many.
    return apply_settings(taskset, changes) if changes else taskset


def drawn(variants: Iterable[Variant], name: str) -> Iterator[Variant]:
    """The variants; drawing their values may run the user's code.

    :raises TaskSetError: whatever that code raises, in one line that names the task-set.
    """
    iterator = iter(variants)
    while True:
        try:
            variant = next(iterator)
        except StopIteration:
            return
        except TaskgenError:
            raise
        except Exception as error:
            raise TaskSetError(f"{name}: {type(error).__name__}: {error}") from error
        yield variant

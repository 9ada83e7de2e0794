"""``taskgen taskset check``"""

from __future__ import annotations

import sys

import click

from taskgen.cli.note import note
from taskgen.cli.taskset_input import load
from taskgen.cli.taskset_refusals import refusals
from taskgen.cli.taskset_text import counted
from taskgen.errors import TaskSetError


@click.command()
@click.argument("names", metavar="FILE...", nargs=-1, required=True)
def check(names: tuple[str, ...]) -> None:
    """Check documents, or task-sets by NAME.

    Every value of every key is checked once, however many variants they make. What the Linux guest
    would refuse is a warning: other targets may run it.

    Exit status 0: all can be used; 2: one cannot, and standard error says where and why.
    """
    fine = [_is_fine(name) for name in names]
    sys.exit(0 if all(fine) else 2)


def _is_fine(name: str) -> bool:
    try:
        taskset = load(name)
        taskset.validate()
        count = taskset.variants().count
    except TaskSetError as error:
        known = name in error.message
        note(str(error) if known else f"{name}: {error}")
        return False
    print(f"{name}: ok: {counted(len(taskset), 'task')}, {counted(count, 'variant')}")
    try:
        for line in refusals(taskset):
            note(f"{name}: warning: the Linux guest refuses {line}")
    except TaskSetError as error:  # a library is missing that only some generators need
        note(f"{name}: warning: what the Linux guest refuses is not known: {error}")
    return True

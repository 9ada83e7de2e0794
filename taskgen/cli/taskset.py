"""``taskgen taskset``: look at task-sets without running them."""

from __future__ import annotations

import click

from taskgen.cli.lazy import Lazy, LazyGroup

_COMMANDS = {
    "Commands": {
        "ls": Lazy("taskgen.cli.taskset_ls:ls", "List task-sets, and how many variants each has."),
        "show": Lazy("taskgen.cli.taskset_show:show", "Show a task-set in full."),
        "check": Lazy("taskgen.cli.taskset_check:check", "Check documents, or task-sets by NAME."),
        "variants": Lazy(
            "taskgen.cli.taskset_variants:variants", "List the variants of a task-set."
        ),
        "explain": Lazy("taskgen.cli.taskset_explain:explain", "Say what the keys of a task mean."),
        "generate": Lazy(
            "taskgen.cli.taskset_generate:generate", "Write a document of random task-sets."
        ),
    }
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def taskset() -> None:
    """Look at task-sets and their variants, check and generate them. Nothing is run.

    Exit status 0: done; 2: bad input.
    """

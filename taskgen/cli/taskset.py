"""``taskgen taskset``: look at task-sets without running them."""

from __future__ import annotations

import os
import sys

import click

from taskgen.cli.taskset_check import check
from taskgen.cli.taskset_explain import explain
from taskgen.cli.taskset_generate import generate
from taskgen.cli.taskset_ls import ls
from taskgen.cli.taskset_show import show
from taskgen.cli.taskset_variants import variants


class _ReaderMayLeave(click.Group):
    """Ends quietly when whoever reads the output has seen enough, as ``head`` has."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except BrokenPipeError:
            # Python flushes once more at its end: that must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)


@click.group(cls=_ReaderMayLeave)
def taskset() -> None:
    """Look at task-sets and their variants, check and generate them. Nothing is run.

    Exit status 0: done; 2: bad input.
    """


for command in (ls, show, check, variants, explain, generate):
    taskset.add_command(command)

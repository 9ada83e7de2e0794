"""``taskgen taskset generate``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import taskgen
from taskgen.cli.generator_words import PRIORITIES, distribution
from taskgen.cli.note import note
from taskgen.cli.output_file import OutputPath
from taskgen.cli.taskset_refusals import refusals
from taskgen.cli.taskset_text import counted
from taskgen.document import VERSION
from taskgen.errors import TaskSetError
from taskgen.files import FORMATS, form_of, read_text, render
from taskgen.generate import generate as generated
from taskgen.generators.recipe import DEADLINES, METHODS, PERIODS
from taskgen.task import Task
from taskgen.taskset import TaskSet


@click.command()
@click.option("--tasks", type=click.IntRange(1), required=True, metavar="N", help="Tasks in a set.")
@click.option(
    "--utilisation",
    type=float,
    required=True,
    metavar="U",
    help="What the tasks of a set use together; 1 is one processor.",
)
@click.option("--sets", type=click.IntRange(1), required=True, metavar="M", help="How many sets.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    required=True,
    metavar="S",
    help="The same one generates the same sets for good.",
)
@click.option(
    "--method",
    default="uunifast-discard",
    show_default=True,
    metavar="NAME[:…]",
    help=f"How U is shared out: {', '.join(METHODS)}.",
)
@click.option(
    "--periods",
    default="log-uniform:10..1000",
    show_default=True,
    metavar="NAME[:…]",
    help=f"In ms: {', '.join(PERIODS)}.",
)
@click.option(
    "--deadlines",
    default="implicit",
    show_default=True,
    metavar="NAME[:…]",
    help=f"{', '.join(DEADLINES)}.",
)
@click.option(
    "--priorities",
    type=click.Choice(list(PRIORITIES), case_sensitive=False),
    default="rm",
    show_default=True,
    help="none: tasks have a deadline, for EDF.",
)
@click.option(
    "--binary", default="idle", show_default=True, metavar="NAME", help="The task binary of all."
)
@click.option(
    "--jobs",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    metavar="N",
    help="Activations of each task; 0: without end.",
)
@click.option(
    "--argument",
    default="config.arg1",
    show_default=True,
    metavar="KEY",
    help="Where the binary is told how many ms to burn; '' is nowhere.",
)
@click.option(
    "--load",
    type=float,
    default=1.0,
    show_default=True,
    metavar="SHARE",
    help="Share of the execution time that it is told to burn.",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=OutputPath(default_is_stdout=True),
    metavar="FILE",
    help="Write here; TOML or JSON by its name.  [default: standard output]",
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="For standard output.")
@click.option("--force", is_flag=True, help="Overwrite a FILE with something else in it.")
def generate(  # noqa: PLR0917 - click passes each option by its name
    tasks: int,
    utilisation: float,
    sets: int,
    seed: int,
    method: str,
    periods: str,
    deadlines: str,
    priorities: str,
    binary: str,
    jobs: int,
    argument: str,
    load: float,
    path: Path | None,
    form: str | None,
    force: bool,
) -> None:
    """Write a document of random task-sets.

    Each set is a variant. The document holds the call of the generator, not the sets: it stays
    small, can be edited, and gives the same sets years later.

    \b
    NAME[:…] has the numbers of a distribution after a colon:
      log-uniform:10..1000..10     from, to, step
      listed:10,20,50
      harmonic:base_ms=20,ratio=2  by their names; lists as 1/2/3
    """
    if path and form:
        raise click.UsageError("--format is for standard output; a file has it in its name")
    document = _document(
        {
            "n_tasks": tasks,
            "utilisation": utilisation,
            "n_sets": sets,
            "seed": seed,
            "method": distribution(method, METHODS, "method"),
            "periods": distribution(periods, PERIODS, "periods"),
            "deadlines": distribution(deadlines, DEADLINES, "deadlines"),
            "priorities": PRIORITIES[priorities],
            "load": load,
        },
        Task(pkg=binary, numberofjobs=jobs),
        argument or None,
        path.stem if path else "generated",
    )
    text = render(document, form_of(path) if path else form or FORMATS[0])
    taskset = TaskSet.from_document(document)
    next(iter(taskset.variants()))  # whether it can be drawn is found here, not years later
    for line in refusals(taskset):
        note(f"warning: the Linux guest refuses {line}")
    if path is None:
        print(text, end="")
        return
    _write(path, text, force)
    note(f"{path}: {counted(sets, 'set')} of {counted(tasks, 'task')}")


def _document(
    numbers: dict[str, Any], template: Task, argument: str | None, name: str
) -> dict[str, Any]:
    recipe = generated(**numbers, argument=argument, task=template).recipe
    call = recipe.to_data()
    if argument:
        call["argument"] = argument
    call["task"] = TaskSet([template]).to_document()["task"][0]
    metadata = {"made_by": f"taskgen {taskgen.__version__}"}
    return {"version": VERSION, "name": name, "metadata": metadata, "generate": call}


def _write(path: Path, text: str, force: bool) -> None:
    if path.exists() and not force and read_text(path) != text:
        raise TaskSetError(f"{path}: is there, with something else in it", hint="--force")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TaskSetError(f"{path}: cannot be written: {error.strerror}") from error

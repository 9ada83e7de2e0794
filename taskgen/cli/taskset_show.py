"""``taskgen taskset show``"""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click
from rich.console import RenderableType
from rich.text import Text

from taskgen.cli.taskset_columns import of_tasks, of_variant, tables
from taskgen.cli.taskset_input import drawn, load, set_option
from taskgen.cli.taskset_refusals import refusals
from taskgen.cli.taskset_text import arithmetic, counted, emit, one
from taskgen.errors import TaskSetError
from taskgen.files import FORMATS, render
from taskgen.frozen import thaw
from taskgen.taskset import BlockTaskSet, TaskSet
from taskgen.variant import Variant
from taskgen.variants import Variants


@click.command()
@click.argument("name")
@click.option(
    "--variant", "index", type=int, metavar="I", help="Show variant I; -I counts from the end."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *FORMATS, "xml"]),
    default="table",
    show_default=True,
    help="toml, json: a document, that taskgen run takes; xml: what is sent for the variant.",
)
@set_option
def show(name: str, index: int | None, form: str, changes: tuple[str, ...]) -> None:
    """Show a task-set in full.

    That is its tasks with all keys, what varies, and what the Linux guest would refuse.

    NAME is what taskgen run takes: module.Class, a dotted path, an entry point, or a document.
    With --variant, it is one variant of it: its values, its tasks, and the XML that is sent.
    """
    taskset = load(name, changes)
    variants = taskset.variants()
    if form == "xml" and index is None:
        if variants.count != 1:
            raise TaskSetError(
                f"{name}: has {counted(variants.count, 'variant')}, each with its own XML",
                hint="choose one by --variant I",
            )
        index = 0
    variant = None if index is None else next(drawn(_found(taskset, index), name))
    if form == "xml" and variant:
        print(variant.description().decode("ascii"))
    elif form in FORMATS:
        print(render(_document(taskset, variant), form), end="")
    elif variant:
        emit(*_variant(taskset, variant, name))
        print(variant.description().decode("ascii"))
    else:
        emit(*_taskset(taskset, name))


def _found(taskset: TaskSet, index: int) -> Iterator[Variant]:
    """The variant with this number, built when it is asked for."""
    variants = taskset.variants()
    if isinstance(variants, Variants):
        count = variants.count
        if not -count <= index < count:
            raise TaskSetError(
                f"variant {index}: there is none",
                hint=f"{counted(count, 'variant')}: 0 to {count - 1}, or -1 for the last",
            )
        yield variants[index]
        return
    if index < 0:
        raise TaskSetError(f"variant {index}: nobody knows how many there are", hint="count from 0")
    for variant in variants.walk(index):
        yield variant
        return
    raise TaskSetError(f"variant {index}: there are not so many")


def _document(taskset: TaskSet, variant: Variant | None) -> dict[str, object]:
    if variant is None:
        return taskset.to_document()
    alone = TaskSet(
        {key: value for key, value in thaw(task).items() if value is not None}
        for task in variant.tasks
    )
    alone.name = taskset.name
    alone.metadata = {**taskset.metadata, "variant": variant.index}
    return alone.to_document()


def _taskset(taskset: TaskSet, name: str) -> Iterator[RenderableType]:
    own_name = taskset.name if taskset.name not in (name.rpartition(".")[2], "TaskSet") else ""
    yield Text(": ".join(filter(None, (name, own_name))), style="bold")
    about = inspect.cleandoc(type(taskset).__doc__ or "").split("\n\n")[0]
    if about and type(taskset) not in (TaskSet, BlockTaskSet):
        yield Text(" ".join(about.replace("``", "").split()))
    for field, value in taskset.metadata.items():
        yield Text(f"{one(field)} = {one(value)}")
    yield ""
    yield from tables(of_tasks(taskset))
    yield Text("(…): the default; -: not given; xN: one of N values in each variant", style="dim")
    yield ""
    yield Text(arithmetic(taskset))
    try:
        for line in refusals(taskset):
            yield Text(f"The Linux guest refuses {line}", style="yellow")
    except TaskSetError as error:
        yield Text(f"What the Linux guest refuses is not known: {error}", style="yellow")


def _variant(taskset: TaskSet, variant: Variant, name: str) -> Iterator[RenderableType]:
    yield Text(f"{name}, variant {variant.index}", style="bold")
    for path, value in variant.parameters.items():
        yield Text(f"{path} = {one(value)}")
    yield ""
    yield from tables(of_variant(taskset, variant))
    yield ""

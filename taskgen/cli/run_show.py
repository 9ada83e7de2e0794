"""``taskgen run show``"""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.text import Text

from taskgen.cli.diagnosis_text import diagnosis_facts
from taskgen.cli.listing import Column, print_facts, print_json, print_list, state
from taskgen.cli.note import note
from taskgen.cli.options import json_option
from taskgen.cli.run_timeline import COLUMNS, Moment, console_of, timeline
from taskgen.cli.units import duration, moment
from taskgen.client import Client
from taskgen.errors import UnknownMachineError, console_lines
from taskgen.printable import printable
from taskgen.resources import Activation, Attempt, Run, RunEvent


@click.command()
@click.argument("run_id", metavar="ID")
@click.option(
    "--console", is_flag=True, help="With what the console said meanwhile, beside what tasks did."
)
@json_option
def show(run_id: str, console: bool, as_json: bool) -> None:
    """Tell the story of a run: its attempts, what was wrong with their machines, its activations,
    events and console.

    ID is JOB-POSITION-ATTEMPT, as in taskgen machine ls, taskgen events and the column run_id of
    results.

    Exit status 0: done; 1: there is no such run; 3: no daemon answers.
    """
    with Client() as client:
        run = client.run(run_id)
        moments = _moments(client, run.ended) if console and run.ended and not as_json else []
    if as_json:
        print_json(run)
        return
    print_facts(_facts(run))
    click.echo()
    print_list(run.attempts, _ATTEMPTS, empty="no attempt has ended")
    for attempt in run.attempts:
        if attempt.diagnosis:
            click.echo()
            print_facts(diagnosis_facts(attempt.diagnosis, f"attempt {attempt.attempt}"))
    if run.ended is None:
        return
    click.echo()
    print_list(run.ended.activations, _ACTIVATIONS, empty="no activations")
    if console:
        click.echo()
        print_list(moments, COLUMNS, empty="nothing happened of which something is kept")
    if run.ended.events:
        click.echo()
        print_list(run.ended.events, _EVENTS, empty="")
    if run.ended.console:
        click.echo(f"\nconsole of {run.ended.target}:", nl=False)
        click.echo(printable(console_lines(run.ended.console, lines=40)))
    if run.ended.diagnosis and run.ended.diagnosis.registers:
        click.echo(f"\nregisters of {run.ended.target}:", nl=False)
        click.echo(printable(console_lines(run.ended.diagnosis.registers, lines=200)))


def _moments(client: Client, attempt: Attempt) -> list[Moment]:
    try:
        lines = console_of(client, attempt)
    except UnknownMachineError as error:  # a board, say
        note(error.message)
        lines = []
    return timeline(attempt, lines)


def _facts(run: Run) -> Iterator[tuple[str, str | Text]]:
    yield "run", run.id
    yield "job", run.job
    yield "variant", f"{run.variant}, at position {run.position}"
    for key, value in (run.parameters or {}).items():
        yield "", f"{key} = {value}"
    yield "state", state(run.state)
    yield "target", run.target or "-"
    if run.ended:
        yield "began", moment(run.ended.started_at)
        yield "lasted", duration(run.ended.duration_s)
        if run.ended.failure:
            yield "failed", f"{run.ended.failure}: {run.ended.reason}"
        for key, value in run.ended.provenance.items():
            yield "with", f"{key} = {value}"


def _outcome(attempt: Attempt) -> str:
    if not attempt.failure:
        return "a result"
    return f"{attempt.failure}: {attempt.reason}" + (" (given up)" if attempt.bad else "")


_ATTEMPTS: list[Column[Attempt]] = [
    Column("attempt", lambda each: str(each.attempt), right=True),
    Column("outcome", _outcome),
    Column("target", lambda each: each.target, rank=1),
    Column("began", lambda each: moment(each.started_at), rank=2),
    Column("lasted", lambda each: duration(each.duration_s), rank=1, right=True),
]


def _ms(value_us: int | None) -> str:
    return "-" if value_us is None else f"{value_us / 1000:.3f}"


_ACTIVATIONS: list[Column[Activation]] = [
    Column("task", lambda each: f"{each.task_id} {each.pkg}"),
    Column("activation", lambda each: str(each.number), right=True),
    Column("release ms", lambda each: _ms(each.release_us), right=True),
    Column("start ms", lambda each: _ms(each.start_us), rank=2, right=True),
    Column("end ms", lambda each: _ms(each.end_us), right=True),
    Column("deadline ms", lambda each: _ms(each.deadline_us), rank=1, right=True),
    Column("CPU ms", lambda each: _ms(each.cpu_us), rank=2, right=True),
    Column("exit", lambda each: each.exit or "cut off"),
]

_EVENTS: list[Column[RunEvent]] = [
    Column(
        "at ms",
        lambda each: _ms(each.time_us if each.time_us is not None else each.time_stamp_ms * 1000),
        right=True,
    ),
    Column("task", lambda each: str(each.task_id), right=True),
    Column("event", lambda each: each.type),
]

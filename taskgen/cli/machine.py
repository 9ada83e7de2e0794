"""``taskgen machine``"""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.text import Text

from taskgen.cli.diagnosis_text import diagnosis_facts
from taskgen.cli.lazy import Lazy, LazyGroup
from taskgen.cli.listing import Column, print_facts, print_json, print_list, state
from taskgen.cli.options import json_option, machine_argument, quiet_option
from taskgen.cli.units import age, duration, moment, number
from taskgen.client import Client
from taskgen.resources import Machine

_MORE = {
    "Commands": {
        "ls": Lazy("taskgen.cli.machine:ls", "List the machines."),
        "show": Lazy("taskgen.cli.machine:show", "Show a machine in full."),
        "console": Lazy("taskgen.cli.machine_console:console", "Use the console of a machine."),
        "log": Lazy("taskgen.cli.machine_log:log", "Print what the console of a machine said."),
        "restart": Lazy(
            "taskgen.cli.machine:restart", "Let a machine finish its run, and launch it anew."
        ),
        "drain": Lazy(
            "taskgen.cli.machine:drain", "Let a machine finish its run and go until restart."
        ),
        "kill": Lazy(
            "taskgen.cli.machine:kill", "End a machine at once; its run is begun again elsewhere."
        ),
    }
}


@click.group(cls=LazyGroup, lazy=_MORE)
def machine() -> None:
    """Look at machines, and act on one.

    Exit status 0: done; 1: the daemon cannot; 2: bad input; 3: no daemon answers.
    """


_COLUMNS: list[Column[Machine]] = [
    Column("name", lambda m: m.name),
    Column("state", lambda m: state(m.state)),
    Column("run", lambda m: m.run or "-", rank=1),
    Column("runs", lambda m: number(m.runs), rank=2, right=True),
    Column("up", lambda m: age(m.launched_at), rank=2, right=True),
    Column("address", lambda m: m.address or "-", rank=3),
    Column("accelerator", lambda m: m.accelerator, rank=5),
    Column("pid", lambda m: str(m.pid or "-"), rank=4, right=True),
    Column("remarks", lambda m: "; ".join(_remarks(m)), rank=1),
]


@click.command()
@json_option
@quiet_option("names")
def ls(as_json: bool, quiet: bool) -> None:
    """List the machines."""
    with Client() as client:
        found = list(client.machines())
    if as_json:
        print_json(found)
    elif quiet:
        for each in found:
            click.echo(each.name)
    else:
        print_list(found, _COLUMNS, empty="no machines: they are launched when there is work")


@click.command()
@machine_argument
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a machine in full."""
    with Client() as client:
        found = client.machine(name)
    if as_json:
        print_json(found)
    else:
        print_facts(_facts(found))
        if found.trouble:
            click.echo()
            print_facts(diagnosis_facts(found.trouble, "last trouble"))


@click.command()
@machine_argument
def restart(name: str) -> None:
    """Let a machine finish its run, and launch it anew."""
    with Client() as client:
        client.restart_machine(name)
    click.echo(f"{name} is launched anew, after its run")


@click.command()
@machine_argument
def drain(name: str) -> None:
    """Let a machine finish its run and go until restart."""
    with Client() as client:
        client.drain_machine(name)
    click.echo(f"{name} goes after its run, until taskgen machine restart {name}")


@click.command()
@machine_argument
def kill(name: str) -> None:
    """End a machine at once; its run is begun again elsewhere."""
    with Client() as client:
        client.kill_machine(name)
    click.echo(f"{name} is ended")


def _remarks(machine: Machine) -> Iterator[str]:
    if machine.retiring:
        yield "goes after its run"
    if machine.adopted:
        yield "adopted"
    if machine.reason:
        yield machine.reason


def _facts(machine: Machine) -> Iterator[tuple[str, str | Text]]:
    yield "name", machine.name
    yield "state", state(machine.state)
    for remark in _remarks(machine):
        yield "", remark
    yield "run", machine.run or "-"
    yield "runs", f"{number(machine.runs)} since it was launched"
    yield "launched", moment(machine.launched_at)
    yield "ready after", "-" if machine.ready_s is None else duration(machine.ready_s)
    yield "saved state", f"of {moment(machine.saved_at)}" if machine.saved_at else "-"
    yield "profile", machine.profile
    yield "accelerator", machine.accelerator
    yield "pinned to", f"cores {machine.pinned_cpus}" if machine.pinned_cpus else "-"
    yield "address", machine.address or "-"
    yield "MAC", machine.mac
    yield "tap", machine.tap
    yield "pid", str(machine.pid or "-")
    yield "UUID", machine.uuid or "-"

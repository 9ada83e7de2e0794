"""``taskgen fleet``"""

from __future__ import annotations

from collections.abc import Iterator

import click
from rich.text import Text

from taskgen.cli.listing import print_facts, print_json
from taskgen.cli.options import json_option
from taskgen.client import Client
from taskgen.resources import Fleet


@click.group()
def fleet() -> None:
    """Show and change the fleet.

    What is changed outlives the daemon. Exit status 0: done; 1: the daemon cannot; 2: bad input; 3:
    no daemon answers.
    """


@fleet.command()
@json_option
def show(as_json: bool) -> None:
    """Show the fleet and its limits."""
    with Client() as client:
        found = client.fleet()
    if as_json:
        print_json(found)
    else:
        print_facts(_facts(found))


@fleet.command("set-max")
@click.argument("number", metavar="N", type=click.IntRange(1))
def set_max(number: int) -> None:
    """Launch N machines at most.

    With fewer than before, the highest machines finish their runs and go. More than fit is kept as
    a wish.
    """
    _set_max(number)


@click.command("set-max-machine-value")
@click.argument("number", metavar="N", type=click.IntRange(1))
def set_max_machine_value(number: int) -> None:
    """The same as fleet set-max."""
    _set_max(number)


@fleet.command()
def pause() -> None:
    """Begin no run and launch no machine until resume; what runs is finished."""
    with Client() as client:
        client.pause()
    click.echo("paused: what runs is finished, nothing is begun until taskgen fleet resume")


@fleet.command()
def resume() -> None:
    """Begin runs and launch machines again."""
    with Client() as client:
        client.resume()
    click.echo("resumed")


def _set_max(number: int) -> None:
    with Client() as client:
        changed = client.set_max_machines(number)
    click.echo(_limits(changed))
    for reason in changed.reasons:
        click.echo(reason)


def _limits(fleet: Fleet) -> str:
    if fleet.in_effect == fleet.max_machines:
        return f"at most {fleet.max_machines} machines"
    return f"at most {fleet.in_effect} machines; {fleet.max_machines} are wished"


def _facts(fleet: Fleet) -> Iterator[tuple[str, str | Text]]:
    yield "machines", _limits(fleet)
    for reason in fleet.reasons:
        yield "", Text(reason, style="yellow")
    yield "room for", f"{fleet.slots} machines in {fleet.subnet}, {fleet.memory_room} in memory"
    yield "cores", f"{fleet.host_cores:g} for machines with {fleet.machine_vcpus} vCPU each"
    yield "work", Text("paused", style="yellow") if fleet.paused else "goes on"
    yield "profile", fleet.profile
    yield "accelerator", fleet.accelerator
    yield "namespace", fleet.namespace or "the host's own"
    yield "bridge", fleet.bridge

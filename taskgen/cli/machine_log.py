"""``taskgen machine log``"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import click
from rich.text import Text

from taskgen.cli.console_text import ConsolePrinter
from taskgen.cli.listing import Column, print_json, print_list, state
from taskgen.cli.options import json_option, machine_argument
from taskgen.cli.units import moment, moment_of, size
from taskgen.client import Client
from taskgen.resources import ConsoleBoot


class _Lines(click.ParamType[int]):
    """A number of lines, or all."""

    name = "lines"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        most = 10**9
        return most if value == "all" else int(click.IntRange(0, most).convert(value, param, ctx))


@click.command()
@machine_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what it prints, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=_Lines(),
    metavar="N",
    help="So many last lines, or all. Default: 100; all with --since.",
)
@click.option(
    "--boot",
    type=int,
    metavar="K",
    help="Of boot K; 0 is the newest, -1 the one before. Default: the newest; all with --since.",
)
@click.option(
    "--since", metavar="TIME", help="From then on: 10min, 2h or 3d ago, or 2026-05-01T12:30."
)
@click.option("-t", "--timestamps", is_flag=True, help="With the time at which a line was begun.")
@click.option("--boots", is_flag=True, help="List the boots of which something is kept.")
@json_option
def log(
    name: str,
    *,
    follow: bool,
    lines: int | None,
    boot: int | None,
    since: str | None,
    timestamps: bool,
    boots: bool,
    as_json: bool,
) -> None:
    """Print what the console of a machine said, also of one that is gone.

    With -f it goes on over restarts and resets of the machine, and over restarts of the daemon;
    with --boot as well, to the end of that boot. A time with < before it: nobody saw when it was
    printed, it was then or earlier.

    Exit status 0: done; 1: cannot; 2: bad input; 3: no daemon answers; 130: interrupted.
    """
    with Client() as client:
        if boots:
            _list(list(client.machine_boots(name)), as_json=as_json)
            return
        choice = {
            "follow": follow,
            "lines": lines,
            "boot": boot,
            "since": None if since is None else moment_of(since),
        }
        printer = ConsolePrinter(timestamps=timestamps)

        def lost() -> None:
            printer.remark("the daemon is gone; this goes on with the next one")

        with closing(client.console_lines(name, lost=lost, **choice)) as told:
            try:
                for line in told:
                    if as_json:
                        click.echo(line.model_dump_json())
                    else:
                        printer.show(line)
            finally:
                printer.end()


def _list(boots: list[ConsoleBoot], *, as_json: bool) -> None:
    if as_json:
        print_json(boots)
    else:
        print_list(boots, _COLUMNS, empty="nothing is kept")


def _state(boot: ConsoleBoot) -> Text:
    return state("running") if boot.running else Text("over")


_COLUMNS: list[Column[ConsoleBoot]] = [
    Column("boot", lambda each: str(each.number), right=True),
    Column("began", lambda each: moment(each.began)),
    Column("by", lambda each: each.why, rank=1),
    Column("state", _state),
    Column("last output", lambda each: moment(each.last_output), rank=2),
    Column("kept", lambda each: size(each.kept), rank=1, right=True),
    Column("dropped", lambda each: size(each.dropped) if each.dropped else "-", rank=3, right=True),
]

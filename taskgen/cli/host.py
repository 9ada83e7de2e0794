"""``taskgen host``"""

from __future__ import annotations

import click

from taskgen.cli.listing import Column, print_json, print_list, state
from taskgen.cli.options import json_option, quiet_option
from taskgen.cli.units import duration
from taskgen.client import Client
from taskgen.resources import Host


@click.group()
def host() -> None:
    """Look at the boards that the daemon knows."""


_COLUMNS: list[Column[Host]] = [
    Column("address", lambda h: h.address),
    Column("state", lambda h: state(h.state)),
    Column("name", lambda h: h.name, rank=2),
    Column("failures", lambda h: str(h.failures), rank=3, right=True),
    Column(
        "next try in",
        lambda h: "-" if h.next_try_s is None else duration(h.next_try_s),
        rank=3,
        right=True,
    ),
    Column("reason", lambda h: h.reason, rank=1),
]


@host.command()
@json_option
@quiet_option("addresses")
def ls(as_json: bool, quiet: bool) -> None:
    """List the addresses at which a board was ever found.

    Those that never answered are only counted, by status.
    """
    with Client() as client:
        found = list(client.hosts())
    if as_json:
        print_json(found)
    elif quiet:
        for each in found:
            click.echo(each.address)
    else:
        print_list(found, _COLUMNS, empty="no hosts")

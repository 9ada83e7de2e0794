"""``taskgen lease``"""

from __future__ import annotations

import click

from taskgen.cli.listing import Column, print_json, print_list
from taskgen.cli.options import json_option
from taskgen.cli.units import moment
from taskgen.client import Client
from taskgen.resources import Lease


@click.group()
def lease() -> None:
    """Look at the addresses of machines."""


_COLUMNS: list[Column[Lease]] = [
    Column("address", lambda each: each.address),
    Column("machine", lambda each: each.machine or "-"),
    Column("MAC", lambda each: each.mac, rank=1),
    Column(
        "expires",
        lambda each: "never" if each.expires is None else moment(each.expires),
        rank=2,
    ),
]


@lease.command()
@json_option
def ls(as_json: bool) -> None:
    """List the addresses that the fleet's DHCP server gave away."""
    with Client() as client:
        found = list(client.leases())
    if as_json:
        print_json(found)
    else:
        print_list(found, _COLUMNS, empty="no leases")

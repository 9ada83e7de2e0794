"""Boards beside a fleet: those on its own LAN are reached through it; its machines are none."""

from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import IPv4Address

from taskgen.addresses import Addresses
from taskgen.board import BoardKind
from taskgen.discovery import dial
from taskgen.engine import Engine
from taskgen.errors import ConfigError
from taskgen.host.fleet_network import FleetNetwork
from taskgen.hosts import HostPool
from taskgen.interfaces import RunQueue
from taskgen.service_plan import Plan


def host_pool(
    plan: Plan, engine: Engine, queue: RunQueue, network: FleetNetwork | None
) -> HostPool | None:
    """The pool of the plan's boards; ``None``: it has none.

    :param network: of the fleet that is launched beside them; ``None``: none is.
    :raises ConfigError: if they are all machines of the fleet's own.
    """
    if plan.hosts is None:
        return None
    hosts, kind = plan.hosts, plan.board_kind()
    if network:
        hosts, kind = reach(hosts, kind, network)
    return HostPool(hosts, engine.serve, queue, kind, standing=True)


def reach(hosts: Addresses, kind: BoardKind, network: FleetNetwork) -> tuple[Addresses, BoardKind]:
    """The addresses that can be boards, and how they are reached, beside a fleet.

    :raises ConfigError: if none is left.
    """
    if not network.namespace.is_host and network.wiring is None:
        return hosts, kind  # the same addresses out here are not the fleet's
    described = network.network
    first, last = described.slot(1).address, described.slot(described.slots).address
    # A server has one client at a time: who takes a machine for a board takes it from the fleet.
    boards = hosts.without(first, last).without(described.bridge_address, described.bridge_address)
    if not len(boards):
        raise ConfigError(
            f"hosts {hosts}: these are addresses of the fleet's own machines",
            hint=f"boards on its LAN have others of {described.subnet}",
        )
    if network.namespace.is_host:
        return boards, kind

    async def through_fleet(address: IPv4Address, port: int) -> socket.socket:
        inside = address in described.subnet
        return await (network.dial(address, port) if inside else dial(address, port))

    return boards, replace(kind, dial=through_fleet)

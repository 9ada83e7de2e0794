"""The network of one fleet: namespace, bridge, DHCP server and leases, made together."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from taskgen.errors import PrivilegeError
from taskgen.host.bridge import Tap, bridge, open_tap
from taskgen.host.connect import connect
from taskgen.host.dhcp import DhcpServer, dhcp_server
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.inotify import Inotify
from taskgen.host.leases import Lease, Leases, watch_leases
from taskgen.host.netns import Namespace
from taskgen.slots import Network, Slot


class FleetNetwork:
    """What machines need of the network. Made by :func:`fleet_network`."""

    def __init__(
        self,
        network: Network,
        namespace: Namespace,
        inotify: Inotify,
        dhcp: DhcpServer,
        leases: Leases,
    ) -> None:
        self.network = network
        self.namespace = namespace
        self.inotify = inotify
        self.dhcp = dhcp
        self.leases = leases

    async def open_tap(self, slot: Slot) -> Tap:
        """The slot's tap, joined to the bridge. What its last machine had as a lease is forgotten.

        :raises HostError: if it cannot be made, or is in use.
        """
        tap = await open_tap(self.network, self.namespace, slot)
        self.leases.forget(slot.mac)
        return tap

    async def wait_lease(self, slot: Slot, timeout_s: float) -> Lease:
        """The lease that the machine of the slot gets after its tap was opened.

        :raises BootError: if it gets none within ``timeout_s``.
        """
        return await self.leases.wait(slot.mac, timeout_s)

    async def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        """A connected, non-blocking TCP socket to a machine.

        :raises SessionTimeoutError: if there is no connection within ``timeout_s``.
        """
        return await connect(self.namespace, address, port, timeout_s=timeout_s)


@asynccontextmanager
async def fleet_network(
    network: Network,
    directory: FleetDirectory,
    on_problem: Callable[[str], object] = lambda text: None,
) -> AsyncIterator[FleetNetwork]:
    """The fleet's network while in the block. The namespace is the one that its record names.

    :param on_problem: called with what goes wrong later, in words.
    :raises PrivilegeError: if we are not root.
    :raises NamespaceBusyError: if the namespace, or in the host's own the bridge, exists.
    :raises SubnetInUseError: if the host uses the subnet; only in the host's own namespace.
    :raises MissingToolError: if the host lacks dnsmasq.
    :raises HostError: if anything else cannot be made.
    """
    if os.geteuid() != 0:
        raise PrivilegeError("a fleet's network needs root", hint="sudo taskgen …")
    record = directory.record
    with Inotify() as inotify:
        async with (
            await Namespace.create(record.namespace, mark=record.mark) as namespace,
            bridge(network, namespace, mark=record.mark),
            dhcp_server(network, namespace, directory.path, inotify, on_problem) as dhcp,
            watch_leases(dhcp.lease_file, inotify) as leases,
        ):
            yield FleetNetwork(network, namespace, inotify, dhcp, leases)

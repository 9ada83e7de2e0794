"""The network of one fleet: namespace, bridge, DHCP server and leases, made together.

Those of a dead daemon are adopted, and what is missing of them is made. While the engine lives
all of it is watched and mended, and what was wrong is reported to
:class:`~taskgen.problems.Problems`: ``namespace``, ``bridge``, ``uplink``, ``dhcp``, ``leases``.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Address

from taskgen.diagnosis import Link
from taskgen.errors import PrivilegeError
from taskgen.host import netns
from taskgen.host.arp import tell_neighbour, who_has
from taskgen.host.bridge import Tap
from taskgen.host.connect import BOOTING_S, connect, dial
from taskgen.host.dhcp import DhcpServer, dhcp_server
from taskgen.host.dhcp_choice import dhcp_programs
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.inotify import Inotify
from taskgen.host.lan import Wiring, lan
from taskgen.host.leases import Lease, Leases, watch_leases
from taskgen.host.link_keeper import LinkKeeper, fleet_links
from taskgen.host.name_keeper import kept_name
from taskgen.host.netns import Namespace
from taskgen.host.waiting import finish
from taskgen.problems import Problems
from taskgen.settings import DhcpChoice
from taskgen.slots import Network, Slot

log = logging.getLogger(__name__)

#: What is reported of the lease file.
LEASES_PROBLEM = "leases"


class FleetNetwork:
    """What machines need of the network. Made by :func:`fleet_network`."""

    def __init__(
        self,
        network: Network,
        namespace: Namespace,
        inotify: Inotify,
        *,
        links: LinkKeeper,
        dhcp: DhcpServer,
        leases: Leases,
        wiring: Wiring | None = None,
    ) -> None:
        self.network = network
        self.namespace = namespace
        self.inotify = inotify
        self.dhcp = dhcp
        self.leases = leases
        self.wiring = wiring
        self._links = links

    async def open_tap(self, slot: Slot) -> Tap:
        """The slot's tap, joined to the bridge. What its last machine had as a lease is forgotten.

        :raises HostError: if it cannot be made, or is in use.
        """
        tap = await self._links.open_tap(slot)
        self.leases.forget(slot.mac)
        return tap

    async def adopt_tap(self, slot: Slot, pid: int) -> bool:
        """Take over the slot's tap, which the QEMU ``pid`` has; the machine's lease counts.

        :returns: whether it is there and joined to the bridge; else nobody can reach the machine.
        """
        return await self._links.adopt_tap(slot, pid)

    def let_tap_go(self, slot: Slot) -> None:
        """The slot's machine is about to end: that its tap goes then is nobody's concern.

        May be called again, and for a slot that has no tap.
        """
        self._links.let_tap_go(slot)

    def close_tap(self, tap: Tap) -> None:
        """Close what may be the last copy of a slot's tap, and let it go; nobody waits for that."""
        self._links.close_tap(tap)

    def on_tap_gone(self, callback: Callable[[str], object]) -> None:
        """Call ``callback`` with the name of each tap that goes though nobody let it go, once.

        It must not block. A tap goes with its QEMU too, so this may come just before the news of
        its death.
        """
        self._links.on_tap_gone(callback)

    async def link(self, slot: Slot) -> Link:
        """How the slot's tap is now."""
        return await self._links.state(slot)

    async def who_has(self, address: str) -> dict[str, int]:
        """Who answers for an address, asked :data:`~taskgen.host.arp.QUESTIONS` times.

        :returns: how many answers there were, by MAC.
        :raises OSError: if the bridge is not there, or is down.
        """
        return await who_has(self.namespace, self.network, address)

    async def tell_neighbour(self, slot: Slot, address: str) -> None:
        """Have the kernel know that the slot's machine has the address.

        It may still know whoever had it before, or have asked in vain before there was a guest.
        """
        if await tell_neighbour(self.namespace, self.network, address, slot.mac):
            log.warning("%s: the kernel had another MAC for %s: corrected", slot.name, address)

    async def wait_lease(self, slot: Slot, timeout_s: float) -> Lease:
        """The lease that the machine of the slot gets after its tap was opened.

        After its tap was adopted: the lease that it has.

        :raises BootError: if it gets none within ``timeout_s``.
        """
        return await self.leases.wait(slot.mac, timeout_s)

    def told(self, slot: Slot) -> None:
        """The guest of a slot was told its MAC and address, so it needs no lease."""
        self.leases.told(Lease(mac=slot.mac, address=slot.address, expires=None))

    async def connect(
        self, address: str, port: int, timeout_s: float, *, patience_s: float = BOOTING_S
    ) -> socket.socket:
        """A connected, non-blocking TCP socket to a machine.

        :param patience_s: of the first attempts, see :func:`taskgen.host.connect.connect`.
        :raises SessionTimeoutError: if there is no connection within ``timeout_s``.
        """
        return await connect(
            self.namespace, address, port, timeout_s=timeout_s, patience_s=patience_s
        )

    async def dial(self, address: IPv4Address, port: int) -> socket.socket:
        """A connected, non-blocking TCP socket to whoever is on the fleet's LAN; tried once.

        :raises OSError: if there is no connection.
        """
        return await dial(self.namespace, str(address), port)


@asynccontextmanager
async def fleet_network(
    network: Network,
    directory: FleetDirectory,
    problems: Problems | None = None,
    *,
    server: DhcpChoice = DhcpChoice.DNSMASQ,
    keep: Callable[[], bool] = lambda: False,
) -> AsyncIterator[FleetNetwork]:
    """The fleet's network while in the block. The namespace is the one that its record names.

    Where the directory was adopted, so is the network.

    :param problems: told of what goes wrong later, as long as it is so.
    :param server: who gives the machines their addresses; leases of another one stay good.
    :param keep: asked when the block is left: whether all stays, for the next daemon to adopt.
    :raises PrivilegeError: if we are not root.
    :raises NamespaceBusyError: if the namespace, or in the host's own the bridge, is another's.
    :raises SubnetInUseError: if the host uses the subnet, only in the host's own namespace; if the
        LAN that it is to be on is not the fleet's own.
    :raises MissingToolError: if the host lacks the DHCP server.
    :raises HostError: if anything else cannot be made.
    """
    if os.geteuid() != 0:
        raise PrivilegeError("a fleet's network needs root", hint="sudo taskgen …")
    problems = problems or Problems()
    mark = directory.record.mark
    programs = dhcp_programs(network, directory.path, directory.record.id)
    program = programs.pop(server)
    program.make_directories()
    with Inotify() as inotify:
        async with (
            _namespace(directory, keep) as namespace,
            kept_name(namespace, inotify, problems),
            lan(network, directory, namespace, keep=keep) as wiring,
            fleet_links(
                network, namespace, mark=mark, wiring=wiring, problems=problems, keep=keep
            ) as links,
            watch_leases(program.lease_file, inotify, program.leases) as leases,
            dhcp_server(
                program,
                namespace,
                inotify,
                leases,
                bridge_index=lambda: links.bridge_index,
                problems=problems,
                others=programs.values() if directory.adopted else None,
                keep=keep,
            ) as dhcp,
        ):
            _tie(network, links, leases, dhcp, problems)
            yield FleetNetwork(
                network, namespace, inotify, links=links, dhcp=dhcp, leases=leases, wiring=wiring
            )


def _tie(
    network: Network, links: LinkKeeper, leases: Leases, dhcp: DhcpServer, problems: Problems
) -> None:
    """Have the DHCP server started again when what it has open is not the fleet's any more."""

    def on_remade() -> None:
        dhcp.restart(f"the bridge {network.bridge} was made again")

    def write_again(why: str) -> None:
        problems.report(
            LEASES_PROBLEM,
            f"{leases.path} {why}; it is written again",
            hint="leave it to the daemon",
        )
        dhcp.restart(f"its lease file {why}")

    def on_lost() -> None:
        if not dhcp.has_its_file:  # a server may replace it itself
            write_again("was deleted or replaced")

    links.on_remade(on_remade)
    leases.on_lost(on_lost)
    if not dhcp.program.overwrites:
        leases.on_rubbish(lambda what: write_again(f"has what is no lease ({what})"))
    dhcp.on_answer(lambda: problems.clear(LEASES_PROBLEM))
    if not dhcp.is_current:  # made again while the server was being started
        on_remade()


@asynccontextmanager
async def _namespace(
    directory: FleetDirectory, keep: Callable[[], bool]
) -> AsyncIterator[Namespace]:
    name, mark = directory.record.namespace, directory.record.mark
    namespace = None
    if directory.adopted:
        namespace = await Namespace.adopt(name, mark=mark)
        if namespace is None:
            netns.remove_unfinished(name)
    if namespace is None:
        namespace = await Namespace.create(name, mark=mark)
    try:
        yield namespace
    finally:
        await finish(namespace.close(keep=keep()))

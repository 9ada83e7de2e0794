"""The LAN that a fleet is put on: joined only where its addresses are the fleet's own.

Nothing of the fleet is on it before it was asked: whoever answers DHCP there, or has one of the
fleet's addresses, is left alone, and the fleet does not start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pyroute2 import IPRoute

from taskgen.errors import HostError, SubnetInUseError
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.lan_probe import DevicePort, Lan, ask_lan
from taskgen.host.lan_rules import find_link, refuse_links
from taskgen.host.link_events import link_events
from taskgen.host.link_notes import LinkNotes
from taskgen.host.netns import Namespace
from taskgen.host.uplink import Uplink
from taskgen.host.waiting import finish
from taskgen.slots import Network

log = logging.getLogger(__name__)

#: A port that was set up needs so long at most until it has agreed with the switch on a speed.
_CARRIER_S = 10.0


@dataclass(frozen=True)
class Wiring:
    """How a fleet's bridge is on a LAN.

    :ivar uplink: the port that is joined to the bridge; ``None``: none is.
    :ivar existing_bridge: the bridge is the host's own, and is only used.
    :ivar notes: of what was done to links of the host.
    """

    uplink: Uplink | None
    existing_bridge: bool
    notes: LinkNotes


@asynccontextmanager
async def lan(
    network: Network,
    directory: FleetDirectory,
    namespace: Namespace,
    *,
    keep: Callable[[], bool] = lambda: False,
) -> AsyncIterator[Wiring | None]:
    """What the fleet needs to be on a LAN, while in the block; ``None``: it is on none.

    What is done to links of the host in the block is undone at its end.

    :param namespace: the fleet's.
    :param keep: asked at the end: whether all stays.
    :raises SubnetInUseError: if the LAN has another DHCP server, or other addresses.
    :raises HostError: if a link is missing or in use.
    """
    record = directory.record
    if not record.uplink and not record.existing_bridge:
        yield None
        return
    notes = LinkNotes(directory.path)
    async with await Namespace.create("", mark=record.mark) as here:
        uplink = (
            Uplink(record.uplink, notes, here=here, is_host=namespace.is_host)
            if record.uplink
            else None
        )
        wiring = Wiring(uplink, record.existing_bridge, notes)
        try:
            if not directory.adopted:  # else it was asked when the fleet was made, and is on it
                await _refuse_foreign_lan(network, wiring, here, is_host=namespace.is_host)
            yield wiring
        finally:
            if not keep():
                for line in await finish(here.run(notes.undo)):
                    log.info("given back: %s", line)


async def _refuse_foreign_lan(
    network: Network, wiring: Wiring, here: Namespace, *, is_host: bool
) -> None:
    name = wiring.uplink.name if wiring.uplink else ""
    await here.run(refuse_links, network, name, wiring.existing_bridge, is_host)
    if wiring.uplink:
        await wiring.uplink.prepare()
        if not await _has_carrier(here, name, _CARRIER_S):
            raise HostError(
                f"uplink {name}: nothing is connected to it, so nobody can be asked whether its"
                " addresses are free",
                hint="plug the cable in, and switch on what is at its other end",
            )
        _refuse(name, await _ask(here, name, network), network)
    if wiring.existing_bridge and await _has_carrier(here, network.bridge, 0):
        _refuse(network.bridge, await _ask(here, network.bridge, network), network)


async def _ask(here: Namespace, device: str, network: Network) -> Lan:
    log.info("asking on %s for DHCP servers, and who has the fleet's addresses", device)
    try:
        port = await here.run(DevicePort, device, undo=DevicePort.close)
        try:
            return await ask_lan(port, network, until=lambda found: not found.is_empty)
        finally:
            port.close()
    except OSError as error:
        raise HostError(f"{device}: nobody can be asked there: {error.strerror}") from error


def _refuse(device: str, found: Lan, network: Network) -> None:
    for server, offered in found.servers.items():
        raise SubnetInUseError(
            f"the LAN on {device} has a DHCP server, {server}, which offers {offered}",
            hint="end it, if the LAN is the fleet's; else take a port to a LAN of the fleet's own",
        )
    for address, mac in found.taken.items():
        whose = "bridge" if address == network.bridge_address else "slots"
        raise SubnetInUseError(
            f"{address}, of the fleet's {whose}, is that of {mac} on the LAN of {device}",
            hint="change that one's address, or subnet, bridge_address or slots in network.toml;"
            " two fleets on a LAN need another mac_prefix too",
        )


async def _has_carrier(here: Namespace, device: str, limit_s: float) -> bool:
    """Whether something is at the other end of a port, within ``limit_s``."""
    changed = asyncio.Event()
    async with link_events(here, lambda _: changed.set()):
        try:
            async with asyncio.timeout(limit_s):
                while not await here.run(_carrier, device):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            return await here.run(_carrier, device)
    return True


def _carrier(device: str) -> bool:
    with IPRoute() as ipr:
        link = find_link(ipr, device)
        return link is not None and bool(link.get_attr("IFLA_CARRIER"))

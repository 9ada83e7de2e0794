"""The networks of fleets that live, and the host's own where the settings use that.

Questions are only asked on a fleet's own bridge, as one more guest on a tap that goes with its
descriptor. Where no fleet lives nothing is sent; the links and rules of the host are read.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from typing import TypeVar

from pyroute2 import IPRoute

from taskgen.errors import HostError
from taskgen.host import cleanup, netns
from taskgen.host.bridge import new_tap
from taskgen.host.doctor.check import Check, Grade
from taskgen.host.frames import datagram
from taskgen.host.lan_probe import TapPort, ask_lan
from taskgen.host.lan_rules import find_link, refuse_links
from taskgen.host.netfilter import crossing_is_filtered, dropping_chains
from taskgen.host.records import FleetRecord
from taskgen.host.waiting import in_thread
from taskgen.settings import NetworkSettings
from taskgen.slots import Network

T = TypeVar("T")

#: Frames are sent so often, and waited for so long, before they count as dropped.
_CROSSINGS, _CROSSING_S = 5, 0.5


async def check_networks(network: Network, settings: NetworkSettings) -> AsyncIterator[Check]:
    """Look at each fleet's network; at the host's, if a fleet of these settings would be there.

    :param network: as a fleet of these settings would have it.
    """
    if os.geteuid() != 0:
        return  # said already
    fleets = await in_thread(None, cleanup.living_fleets)
    for record in fleets:
        async for check in _check_fleet(record, network):
            yield check
    if not fleets and (settings.uplink or settings.namespace == ""):
        yield await in_thread(None, check_links, network, settings)
    if not fleets and settings.namespace == "":
        yield await check_rules()


def check_links(network: Network, settings: NetworkSettings) -> Check:
    """Whether the host's links are such that a fleet may use them. Sends nothing."""
    is_host = settings.namespace == ""
    try:
        refuse_links(network, settings.uplink, settings.existing_bridge, is_host)
    except HostError as error:
        return Check("host's network", Grade.FAIL, error.message, error.hint or "")
    what = f"uplink {settings.uplink}" if settings.uplink else "subnet"
    return Check("host's network", Grade.OK, f"{what} can be used; its LAN is asked at the start")


async def check_rules() -> Check:
    """Whether rules of the host may be in the way of a fleet in its own namespace."""
    filtered = crossing_is_filtered()
    crossing = await dropping_chains("forward") if filtered else []
    asking = await dropping_chains("input")
    if not crossing and not asking:
        return Check("firewall", Grade.OK, "no chain drops by itself what concerns a fleet")
    advice = (
        ["let DHCP in: iptables -I INPUT -i BRIDGE -p udp --dport 67 -j ACCEPT"] if asking else []
    )
    advice += [_FORWARD_ADVICE] if crossing else []
    return Check(
        "firewall",
        Grade.WARN,
        f"drops what no rule accepts: {', '.join((*crossing, *asking))}",
        "; ".join(advice),
    )


_FORWARD_ADVICE = (
    "let machines and LAN reach each other: iptables -I FORWARD -i BRIDGE -o BRIDGE -j ACCEPT"
    " (with Docker in DOCKER-USER)"
)


async def _check_fleet(record: FleetRecord, network: Network) -> AsyncIterator[Check]:
    name = f"network of {record.name}"
    try:
        port, network = await _join(record, network, "tgenask1")
    except (HostError, OSError) as error:
        yield Check(name, Grade.WARN, f"cannot be asked: {error}")
        return
    try:
        found = await ask_lan(port, network)
        bridge = await _inside(record, partial(_addresses, network.bridge)) or set()
        others = {s: a for s, a in found.servers.items() if s not in bridge}
        for server, offered in others.items():
            yield Check(
                name,
                Grade.FAIL,
                f"another DHCP server, {server}, offers {offered}",
                "end it, or take the port or machine off the bridge that it is behind",
            )
        # One with another address was described by another file: its first slot is another, too.
        if not bridge & set(found.servers) and network.bridge_address in bridge:
            chains = await dropping_chains("input") if not record.namespace else []
            because = f"; {', '.join(chains)} drops what no rule accepts" if chains else ""
            yield Check(
                name,
                Grade.FAIL,
                f"the fleet's own DHCP server does not answer{because}",
                f"iptables -I INPUT -i {network.bridge} -p udp --dport 67 -j ACCEPT"
                if chains
                else "see its log in the fleet's directory; restart the daemon",
            )
        elif not others:
            yield Check(name, Grade.OK, "nobody but the fleet's own DHCP server answers")
        if not record.namespace and crossing_is_filtered():
            yield await _check_crossing(record, network, port)
    finally:
        port.close()


async def _check_crossing(record: FleetRecord, network: Network, port: TapPort) -> Check:
    """Whether a frame of one machine gets over the bridge, past the rules of the host."""
    other, _ = await _join(record, network, "tgenask2")
    try:
        if await _crosses(network, port, other):
            return Check("firewall", Grade.OK, f"frames get over {network.bridge}")
    finally:
        other.close()
    chains = ", ".join(await dropping_chains("forward")) or "a rule of the hook forward"
    return Check(
        "firewall",
        Grade.FAIL,
        f"what crosses {network.bridge} is dropped: {chains}",
        _FORWARD_ADVICE.replace("BRIDGE", network.bridge),
    )


async def _crosses(network: Network, source: TapPort, sink: TapPort) -> bool:
    last = network.slot(network.slots).address
    frame = datagram(network.slot(1).address, last, sender=f"{network.mac_prefix}:fd")
    arrived = asyncio.Event()

    def read() -> None:
        with suppress(OSError):
            while True:
                if sink.receive()[: len(frame)] == frame:
                    arrived.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(sink.fileno(), read)
    try:
        for _ in range(_CROSSINGS):
            source.send(frame)
            with suppress(TimeoutError):
                async with asyncio.timeout(_CROSSING_S):
                    await arrived.wait()
                    return True
    finally:
        loop.remove_reader(sink.fileno())
    return False


async def _join(record: FleetRecord, network: Network, name: str) -> tuple[TapPort, Network]:
    """A tap on the fleet's bridge, which every other port can reach; and the bridge's own name."""
    bridge = await _inside(record, partial(_bridge_of, record, network.bridge))
    if bridge is None:
        raise HostError("its bridge is not there")
    network = replace(network, bridge=bridge, isolate=False)
    tap = await _inside(record, partial(new_tap, network, name))
    if tap is None:
        raise HostError("its namespace is not there")
    return TapPort(tap), network


async def _inside(record: FleetRecord, function: Callable[[], T]) -> T | None:
    """What the function says in the fleet's namespace; ``None``: that is not there."""
    if not record.namespace:
        return await in_thread(None, function)
    return await in_thread(None, netns.in_marked, record.namespace, record.mark, function)


def _bridge_of(record: FleetRecord, name: str) -> str | None:
    with IPRoute() as ipr:
        if record.existing_bridge:
            return name if find_link(ipr, name) else None
        for link in ipr.get_links():
            if link.get_attr("IFLA_IFALIAS") == record.mark and link["index"] != 1:
                return str(link.get_attr("IFLA_IFNAME"))
    return None


def _addresses(device: str) -> set[IPv4Address]:
    with IPRoute() as ipr:
        link = find_link(ipr, device)
        found = ipr.get_addr(family=2, index=link["index"]) if link else ()
        return {IPv4Address(address.get_attr("IFA_LOCAL")) for address in found}

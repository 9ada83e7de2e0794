"""Which links of the host a fleet may use, by what they are: who else needs them is not cut off.

What the links show says nothing of who is behind them: that is asked by :mod:`taskgen.host.lan`.
All functions block for milliseconds, and are for a thread in the host's own namespace.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from taskgen.errors import HostError, SubnetInUseError
from taskgen.slots import Network

_ETHERNET = 1  # linux/if_arp.h
_GLOBAL_SCOPE = 0  # linux/rtnetlink.h
_OWN = (2, 3, 5)  # RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST


def find_link(ipr: IPRoute, name: str) -> Any | None:
    """The link of a name; ``None``: there is none."""
    try:
        return ipr.link("get", ifname=name)[0]
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise
    return None


def is_bridge(link: Any) -> bool:
    """Whether a link is a bridge."""
    info = link.get_attr("IFLA_LINKINFO")
    return info is not None and info.get_attr("IFLA_INFO_KIND") == "bridge"


def refuse_links(network: Network, uplink: str, existing_bridge: bool, is_host: bool) -> None:
    """Refuse what would cut somebody off, or answer DHCP where the addresses are not ours.

    :param uplink: the port that is to be joined to the bridge; empty: none.
    :param existing_bridge: the bridge is the host's own.
    :param is_host: the bridge is, or will be, in the host's own namespace.
    :raises SubnetInUseError: if the host, or a LAN, uses other addresses, or the fleet's elsewhere.
    :raises HostError: if a link is missing, or is in use.
    """
    with IPRoute() as ipr:
        bridge = find_link(ipr, network.bridge) if existing_bridge else None
        if existing_bridge:
            _refuse_bridge(ipr, network, bridge)
        index = bridge["index"] if bridge else 0
        if is_host:
            refuse_used_subnet(ipr, network, apart_from=index)
        if uplink:
            link = find_link(ipr, uplink)
            if link is None:
                raise HostError(
                    f"uplink {uplink}: this host has no such network port",
                    hint="ip link shows what there is; the setting is network.uplink",
                )
            if wrong := uplink_obstacle(ipr, link, index):
                raise HostError(
                    f"uplink {uplink}: {wrong}",
                    hint="take a port that nothing else uses, or have the host's own bridge"
                    " (network.existing_bridge); docs/host-network.md says how",
                )


def uplink_obstacle(ipr: IPRoute, link: Any, bridge_index: int) -> str:
    """Why a link cannot be a port of the fleet's bridge now; empty: it can, or is one.

    :param bridge_index: the bridge's; 0: there is none yet.
    """
    index, master = link["index"], link.get_attr("IFLA_MASTER")
    if master and master == bridge_index:
        return ""
    if master:
        return f"it belongs to {_name(ipr, master)}"
    if link["ifi_type"] != _ETHERNET or is_bridge(link):
        return "it is no Ethernet port"
    for address in (*_addresses(ipr, socket.AF_INET, index), *_global_v6(ipr, index)):
        return f"the host has its address {address} there, and would lose it"
    if routes := list(_routes(ipr, index)):
        return f"the host's route to {routes[0][0]} goes there, and would be lost"
    return ""


def refuse_used_subnet(ipr: IPRoute, network: Network, *, apart_from: int = 0) -> None:
    """Refuse a subnet that meets an address or a route of the host.

    :param apart_from: index of a bridge whose addresses and routes do not count.
    :raises SubnetInUseError: naming it.
    """
    used = [(f"address {a.ip}", a.network) for a in _addresses(ipr, socket.AF_INET, 0, apart_from)]
    used += [(f"route to {to}", to) for to, _ in _routes(ipr, 0, apart_from)]
    for what, there in used:
        # A default route overlaps with everything, and is no obstacle.
        if there.prefixlen and network.subnet.overlaps(there):
            raise SubnetInUseError(
                f"subnet {network.subnet} of the fleet: the host has the {what}",
                hint="choose another subnet in network.toml, or give the fleet its own namespace",
            )


def _refuse_bridge(ipr: IPRoute, network: Network, bridge: Any | None) -> None:
    name = network.bridge
    if bridge is None or not is_bridge(bridge):
        raise HostError(
            f"existing_bridge: this host has no bridge {name!r}",
            hint="make it, or have the fleet make one of its own: existing_bridge = false",
        )
    slots = {network.slot(n).address: network.slot(n).name for n in range(1, network.slots + 1)}
    for address in _addresses(ipr, socket.AF_INET, bridge["index"]):
        if address.network != network.subnet:
            raise _foreign_lan(name, address.network, network)
        if owner := slots.get(address.ip):
            raise SubnetInUseError(
                f"the host's own address {address.ip} on {name} is that of {owner}",
                hint="give the host one above those of the slots, or make 'slots' smaller",
            )
    for to, gateway in _routes(ipr, bridge["index"]):
        if gateway is None and to != network.subnet:
            raise _foreign_lan(name, to, network)


def _foreign_lan(name: str, there: IPv4Network, network: Network) -> SubnetInUseError:
    return SubnetInUseError(
        f"the LAN on {name} is {there}, not the fleet's {network.subnet}",
        hint="set 'subnet' and 'bridge_address' in network.toml to that LAN's, if it is yours",
    )


def _addresses(
    ipr: IPRoute, family: int, index: int, apart_from: int = 0
) -> Iterator[IPv4Interface]:
    """The addresses of a link; of index 0: of all links but one."""
    for each in ipr.get_addr(family=family):
        if each["index"] != apart_from and (not index or each["index"] == index):
            local = each.get_attr("IFA_LOCAL") or each.get_attr("IFA_ADDRESS")
            yield IPv4Interface(f"{local}/{each['prefixlen']}")


def _global_v6(ipr: IPRoute, index: int) -> Iterator[str]:
    for each in ipr.get_addr(family=socket.AF_INET6, index=index):
        if each["scope"] == _GLOBAL_SCOPE:
            yield each.get_attr("IFA_ADDRESS")


def _routes(
    ipr: IPRoute, index: int, apart_from: int = 0
) -> Iterator[tuple[IPv4Network, IPv4Address | None]]:
    """Where routes by a link lead, and over which gateway; of index 0: by all links but one.

    Not those to the host's own and to broadcast addresses, which come with an address.
    """
    for each in ipr.get_routes(family=socket.AF_INET):
        out = each.get_attr("RTA_OIF")
        if each["type"] in _OWN or out == apart_from or (index and out != index):
            continue
        to = each.get_attr("RTA_DST") or "0.0.0.0"
        gateway = each.get_attr("RTA_GATEWAY")
        yield IPv4Network(f"{to}/{each['dst_len']}"), IPv4Address(gateway) if gateway else None


def _name(ipr: IPRoute, index: int) -> str:
    for link in ipr.get_links():
        if link["index"] == index:
            return str(link.get_attr("IFLA_IFNAME"))
    return f"link {index}"

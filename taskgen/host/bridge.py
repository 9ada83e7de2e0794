"""How a bridge is made, and taps that join machines to it. All of it in the namespace's thread.

Taps are not persistent: they live as long as a descriptor of theirs, of QEMU or of the engine.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pyroute2 import IPRoute, NetlinkError

from taskgen.errors import HostError, MissingToolError, NamespaceBusyError
from taskgen.host.lan_rules import refuse_used_subnet
from taskgen.slots import Network

_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP = 0x0002
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000  # QEMU's offloads travel in this header
_IFF_TUN_EXCL = 0x8000  # never join a tap that somebody else made

#: Between two ARP requests; a guest may get its address after the first one, and the kernel's
#: second would come a second later.
_ARP_RETRY_MS = 50


@dataclass
class Tap:
    """A tap on the bridge; it is gone once the last copy of its descriptor is closed."""

    name: str
    fd: int

    def copy(self) -> Tap:
        """Another descriptor of it, to be closed as well."""
        return Tap(self.name, os.dup(self.fd))

    def close(self) -> None:
        """Close this copy. May be called again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def delete_bridges(mark: str) -> list[str]:
    """Delete the bridges that bear the mark; their names. In the namespace's thread."""
    deleted = []
    with IPRoute() as ipr:
        for link in ipr.get_links():
            name = link.get_attr("IFLA_IFNAME")
            if name == _name_at_birth(mark) or link.get_attr("IFLA_IFALIAS") == mark:
                with suppress(NetlinkError):  # it can only be gone by now
                    ipr.link("del", index=link["index"])
                deleted.append(name)
    return deleted


def _name_at_birth(mark: str) -> str:
    """A bridge cannot be born with its mark, so it is born under a name that is the fleet's alone.

    Whoever dies between the two leaves nothing that could be taken for somebody else's.
    """
    return "tgen" + hashlib.sha256(mark.encode()).hexdigest()[:11]


def make_bridge(network: Network, mark: str, is_host: bool) -> int:
    """Make the network's bridge, up, with its address, marked as ours; its index.

    :raises SubnetInUseError: if the subnet meets an address or a route of the host's namespace.
    :raises NamespaceBusyError: if there is a device of the bridge's name.
    :raises HostError: if the kernel refuses.
    """
    with IPRoute() as ipr:
        if is_host:
            refuse_used_subnet(ipr, network)
        try:
            ipr.link(
                "add",
                ifname=_name_at_birth(mark),
                kind="bridge",
                br_stp_state=0,
                br_forward_delay=0,
                br_mcast_snooping=0,
                # Else it takes the lowest address of its ports, and changes it as they come and go.
                address=f"{network.mac_prefix}:fe",
            )
            index = socket.if_nametoindex(_name_at_birth(mark))
            ipr.link("set", index=index, ifalias=mark)
            _name_bridge(ipr, index, network)
            set_up_bridge(ipr, index, network)
        except NetlinkError as error:
            delete_bridges(mark)
            raise HostError(f"bridge {network.bridge}: cannot be made: {error}") from error
        except BaseException:
            delete_bridges(mark)
            raise
    return index


def _name_bridge(ipr: IPRoute, index: int, network: Network) -> None:
    try:
        ipr.link("set", index=index, ifname=network.bridge)
    except NetlinkError as error:
        if error.code != errno.EEXIST:
            raise
        raise NamespaceBusyError(
            f"there is a network device {network.bridge!r} already",
            hint="choose another name for 'bridge' in network.toml, or see taskgen down; to use the"
            " host's own: network.existing_bridge",
        ) from error


def set_up_bridge(ipr: IPRoute, index: int, network: Network) -> None:
    """Give the bridge its address and set it up; what is so already stays."""
    _quieten(network.bridge)
    ipr.addr(
        "replace",
        index=index,
        address=str(network.bridge_address),
        prefixlen=network.subnet.prefixlen,
    )
    ipr.link("set", index=index, state="up")
    _sysctl(f"ipv4/neigh/{network.bridge}/retrans_time_ms", str(_ARP_RETRY_MS))


def join(network: Network, tap_index: int, bridge_index: int) -> None:
    """Join a tap to the bridge, and set it up.

    :raises NetlinkError: if the kernel refuses.
    """
    with IPRoute() as ipr:
        ipr.link("set", index=tap_index, master=bridge_index)
        if network.isolate:
            ipr.brport("set", index=tap_index, isolated=1)
        ipr.link("set", index=tap_index, state="up")


def new_tap(network: Network, name: str) -> Tap:
    """Make a tap and join it to the network's bridge.

    :raises MissingToolError: if this host has no taps.
    :raises NamespaceBusyError: if there is a device of that name.
    :raises HostError: if the kernel refuses.
    """
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise MissingToolError(
            f"/dev/net/tun: {error.strerror}", hint="load the kernel module tun; see taskgen doctor"
        ) from error
    try:
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR | _IFF_TUN_EXCL
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode("ascii"), flags))
        _quieten(name)
        join(network, socket.if_nametoindex(name), _bridge_index(network, name))
    except OSError as error:
        os.close(fd)
        if error.errno == errno.EBUSY:
            raise NamespaceBusyError(f"there is a network device {name!r} already") from error
        raise HostError(f"tap {name}: cannot be made: {error.strerror}") from error
    except NetlinkError as error:
        os.close(fd)
        raise HostError(f"tap {name}: cannot join {network.bridge}: {error}") from error
    except BaseException:
        os.close(fd)
        raise
    return Tap(name, fd)


def _bridge_index(network: Network, tap: str) -> int:
    try:
        return socket.if_nametoindex(network.bridge)
    except OSError as error:
        raise HostError(f"tap {tap}: the bridge {network.bridge} is gone") from error


def _quieten(device: str) -> None:
    """No IPv6 of our own on the device: its chatter would wake every guest."""
    _sysctl(f"ipv6/conf/{device}/disable_ipv6", "1")


def _sysctl(key: str, value: str) -> None:
    path = Path("/proc/sys/net") / key
    if path.exists():  # the kernel may be without IPv6
        path.write_text(value, encoding="ascii")

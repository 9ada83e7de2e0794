"""Asks a LAN who is on it: DHCP servers, and whoever has addresses that are the fleet's.

It asks as a client that takes nothing: a ``DISCOVER`` leaves no lease, and an ARP probe no entry in
anybody's table.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Protocol

from taskgen.host.bridge import Tap
from taskgen.host.frames import Dhcp, arp_answer, arp_probe, dhcp_answer, dhcp_frame
from taskgen.slots import Network

#: When questions are asked, in seconds from the start, and how long answers are waited for: some
#: servers send a ping first, to see whether the address is free, and wait three seconds for that.
_QUESTIONS_S = (0.0, 1.0, 3.0)
LIMIT_S = 6.0

_FRAME_BYTES = 65536
_ETH_P_ALL = 0x0003
_SOL_PACKET, _ADD_MEMBERSHIP, _PROMISC = 263, 1, 1  # linux/if_packet.h
_OUTGOING = 4
_VNET_HEADER = bytes(10)  # linux/virtio_net.h: no offloads


class Port(Protocol):
    """What frames are sent and received by, without waiting."""

    def fileno(self) -> int: ...

    def send(self, frame: bytes) -> None: ...

    def receive(self) -> bytes:
        """The next frame, or nothing if it is none that came from elsewhere.

        :raises BlockingIOError: if there is none.
        """
        ...

    def close(self) -> None: ...


class DevicePort:
    """All frames that come in on a network device. Made in the device's namespace.

    :raises OSError: if there is no such device.
    """

    def __init__(self, device: str) -> None:
        self._socket = socket.socket(
            socket.AF_PACKET,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            socket.htons(_ETH_P_ALL),
        )
        try:
            self._socket.bind((device, _ETH_P_ALL))
            # A server may answer to the MAC that is asked for, which is not the device's.
            wanted = struct.pack("iHH8s", socket.if_nametoindex(device), _PROMISC, 0, b"")
            self._socket.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, wanted)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, frame: bytes) -> None:
        self._socket.send(frame)

    def receive(self) -> bytes:
        frame, source = self._socket.recvfrom(_FRAME_BYTES)
        return b"" if source[2] == _OUTGOING else frame

    def close(self) -> None:
        self._socket.close()


class TapPort:
    """What a guest on a tap would see, and say. Closing it closes the tap."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def fileno(self) -> int:
        return self._tap.fd

    def send(self, frame: bytes) -> None:
        os.write(self._tap.fd, _VNET_HEADER + frame)

    def receive(self) -> bytes:
        return os.read(self._tap.fd, _FRAME_BYTES)[len(_VNET_HEADER) :]

    def close(self) -> None:
        self._tap.close()


@dataclass
class Lan:
    """Who answered.

    :ivar servers: DHCP servers, with the address that each offered last.
    :ivar taken: MACs by the address of the fleet's that they have.
    """

    servers: dict[IPv4Address, IPv4Address] = field(default_factory=dict)
    taken: dict[IPv4Address, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.servers and not self.taken


async def ask_lan(
    port: Port, network: Network, *, until: Callable[[Lan], bool] | None = None
) -> Lan:
    """Ask for DHCP servers, and for the fleet's own addresses, from a port.

    A DHCP server may know some computers only: it is asked for a stranger and for the first slot.

    :param until: when to stop before the limit; ``None``: never.
    :raises OSError: if nothing can be sent.
    """
    found, done = Lan(), asyncio.Event()
    sender = f"{network.mac_prefix}:fd"  # no slot's, nor the bridge's
    xid = secrets.randbits(32)
    asked = [sender, network.slot(1).mac]
    addresses = [network.bridge_address]
    addresses += [network.slot(number).address for number in range(1, network.slots + 1)]

    def read() -> None:
        with suppress(OSError):  # nothing more, or the device was set down
            while True:
                frame = port.receive()
                if (answer := dhcp_answer(frame)) and answer.xid == xid and answer.client in asked:
                    found.servers[answer.server] = answer.address
                if (owner := arp_answer(frame)) and owner[0] in addresses and owner[1] != sender:
                    found.taken[owner[0]] = owner[1]
                if until and until(found):
                    done.set()

    loop = asyncio.get_running_loop()
    loop.add_reader(port.fileno(), read)
    try:
        frames = [dhcp_frame(mac, Dhcp.DISCOVER, xid=xid, sender=sender) for mac in asked]
        frames += [arp_probe(address, sender) for address in addresses]
        begun = loop.time()
        for pause_s in (*_QUESTIONS_S[1:], LIMIT_S):
            for frame in frames:
                with suppress(BlockingIOError):  # the queue is full: it is asked again
                    port.send(frame)
            if await _within(done.wait(), begun + pause_s):
                break
    finally:
        loop.remove_reader(port.fileno())
    return found


async def _within(event: Awaitable[object], deadline: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            await event
            return True
    return False

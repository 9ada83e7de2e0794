"""The Ethernet frames by which a LAN is asked who is there: DHCP and ARP. Bytes only, no I/O."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

_BROADCAST = b"\xff" * 6
_IPV4, _ARP = b"\x08\x00", b"\x08\x06"
_UDP = 17
_DISCARD = 9  # the port of RFC 863
_COOKIE = b"\x63\x82\x53\x63"  # RFC 2131: options follow
_MESSAGE_TYPE, _SERVER_ID, _END = 53, 54, 255
_ARP_REPLY = 2


class Dhcp(IntEnum):
    """The types of DHCP messages that we know, RFC 2132."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    ACK = 5
    NAK = 6


@dataclass(frozen=True)
class DhcpAnswer:
    """What a DHCP server said.

    :ivar kind: the type of the message.
    :ivar address: that it offers or gives.
    :ivar server: its own.
    """

    kind: int
    xid: int
    client: str
    address: IPv4Address
    server: IPv4Address


def dhcp_frame(
    mac: str, kind: Dhcp, *, xid: int, options: bytes = b"", sender: str | None = None
) -> bytes:
    """A broadcast of a DHCP client, like that of lwIP: no client-id; answers by broadcast.

    :param mac: for which it asks.
    :param sender: the frame's source; ``None``: the same.
    """
    hardware = hardware_address(mac)
    bootp = struct.pack("!4BIHH", 1, 1, 6, 0, xid, 0, 0x8000) + bytes(16)
    bootp += hardware + bytes(10 + 64 + 128) + _COOKIE
    bootp += bytes([_MESSAGE_TYPE, 1, kind]) + options + bytes([_END])
    source, destination = IPv4Address(0), IPv4Address("255.255.255.255")
    packet = _udp((source, 68), (destination, 67), bootp)
    return _BROADCAST + hardware_address(sender or mac) + _IPV4 + packet


def datagram(source: IPv4Address, destination: IPv4Address, *, sender: str) -> bytes:
    """A frame to all ports with a datagram that nobody heeds: it shows what may pass."""
    # Long enough to need no padding, which a firewall would cut off.
    packet = _udp((source, _DISCARD), (destination, _DISCARD), b"taskgen doctor looks what passes")
    return _BROADCAST + hardware_address(sender) + _IPV4 + packet


def dhcp_answer(frame: bytes) -> DhcpAnswer | None:
    """The answer of a DHCP server that a frame carries; ``None``: none."""
    if frame[12:14] != _IPV4 or len(frame) < 14 + 20:
        return None
    ip = frame[14:]
    if ip[9] != _UDP:
        return None
    udp = ip[4 * (ip[0] & 0xF) :]
    bootp, options = udp[8:], udp[8 + 240 :]
    if udp[:4] != struct.pack("!2H", 67, 68) or bootp[:1] != b"\x02" or len(bootp) < 240:
        return None
    found = _options(options)
    if len(found.get(_MESSAGE_TYPE, b"")) != 1:
        return None
    server = found.get(_SERVER_ID, b"")
    return DhcpAnswer(
        kind=found[_MESSAGE_TYPE][0],
        xid=int.from_bytes(bootp[4:8], "big"),
        client=bootp[28:34].hex(":"),
        address=IPv4Address(bootp[16:20]),
        server=IPv4Address(server if len(server) == 4 else ip[12:16]),
    )


def arp_probe(address: IPv4Address, sender: str) -> bytes:
    """Ask who has an address, without having one oneself (RFC 5227)."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + hardware_address(sender) + bytes(4)
    frame = _BROADCAST + hardware_address(sender) + _ARP + body + bytes(6) + address.packed
    return frame.ljust(60, b"\0")


def arp_answer(frame: bytes) -> tuple[IPv4Address, str] | None:
    """The address that somebody says to have, and their MAC; ``None``: the frame does not say."""
    if frame[12:14] != _ARP or len(frame) < 42 or frame[20:22] != struct.pack("!H", _ARP_REPLY):
        return None
    return IPv4Address(frame[28:32]), frame[22:28].hex(":")


def hardware_address(mac: str) -> bytes:
    """A MAC as bytes."""
    return bytes.fromhex(mac.replace(":", ""))


def _udp(
    source: tuple[IPv4Address, int], destination: tuple[IPv4Address, int], data: bytes
) -> bytes:
    udp = struct.pack("!4H", source[1], destination[1], 8 + len(data), 0) + data
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, _UDP, 0)
    header += source[0].packed + destination[0].packed
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + udp


def _options(data: bytes) -> dict[int, bytes]:
    found, offset = {}, 0
    while offset + 1 < len(data) and data[offset] != _END:
        if data[offset] == 0:  # padding
            offset += 1
            continue
        length = data[offset + 1]
        found[data[offset]] = data[offset + 2 : offset + 2 + length]
        offset += 2 + length
    return found


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF

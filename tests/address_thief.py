"""Another device on the fleet's bridge, which has the address of a machine."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from pyroute2 import IPRoute, netns

T = TypeVar("T")

MAC = "02:00:00:00:00:99"

#: Seconds between two announcements.
ANNOUNCED_S = 0.2

_NAMESPACE, _DEVICE, _PORT = "thief", "thief", "thief-port"


def inside(namespace: str, work: Callable[[], T]) -> T:
    """Do it in a namespace. Only a thread can go there and be gone after."""

    def go() -> T:
        netns.setns(namespace)
        return work()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(go).result()


@contextmanager
def address_thief(address: str, *, namespace: str, bridge: str) -> Iterator[None]:
    """It is there in the block, behind a port of the bridge, and tells everybody of itself.

    :param namespace: that of the fleet.
    """

    def join() -> None:
        with IPRoute() as ipr:
            peer = {"ifname": _DEVICE, "net_ns_fd": _NAMESPACE}
            ipr.link("add", ifname=_PORT, kind="veth", peer=peer)
            port = ipr.link_lookup(ifname=_PORT)[0]
            ipr.link("set", index=port, master=ipr.link_lookup(ifname=bridge)[0], state="up")

    def leave() -> None:
        with IPRoute() as ipr:
            for port in ipr.link_lookup(ifname=_PORT):
                ipr.link("del", index=port)

    def take() -> None:
        with IPRoute() as ipr:
            device = ipr.link_lookup(ifname=_DEVICE)[0]
            ipr.link("set", index=device, address=MAC, state="up")
            ipr.addr("add", index=device, address=address, prefixlen=24)
        announcement = _announcement(address)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((_DEVICE, 0))
            while not ended.wait(ANNOUNCED_S):
                sock.send(announcement)

    ended = threading.Event()
    netns.create(_NAMESPACE)
    try:
        inside(namespace, join)
        with ThreadPoolExecutor(1) as others:
            telling = others.submit(inside, _NAMESPACE, take)
            try:
                yield
            finally:
                ended.set()
                telling.result()
    finally:
        inside(namespace, leave)
        netns.remove(_NAMESPACE)


def _announcement(address: str) -> bytes:
    """A gratuitous answer of ARP: whoever knows the address learns that it is ours."""
    mac, everybody = bytes.fromhex(MAC.replace(":", "")), b"\xff" * 6
    own = mac + socket.inet_aton(address)
    head = struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 2)  # ARP, Ethernet, IPv4, answer
    return everybody + mac + head + own + everybody + socket.inet_aton(address)

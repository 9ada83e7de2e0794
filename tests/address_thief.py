"""Another device on the fleet's bridge, which has the address of a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pyroute2 import IPRoute, netns

MAC = "02:00:00:00:00:99"

_NAMESPACE, _DEVICE, _PORT = "thief", "thief", "thief-port"


def inside(namespace: str, work: Callable[[], None]) -> None:
    """Do it in a namespace. Only a thread can go there and be gone after."""
    def go() -> None:
        netns.setns(namespace)
        work()

    with ThreadPoolExecutor(1) as thread:
        thread.submit(go).result()


@contextmanager
def address_thief(address: str, *, namespace: str, bridge: str) -> Iterator[None]:
    """It is there in the block, behind a port of the bridge, and has told everybody of itself.

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
        # The kernel tells all others of an address that a device gets.
        Path(f"/proc/sys/net/ipv4/conf/{_DEVICE}/arp_notify").write_text("1", encoding="ascii")
        with IPRoute() as ipr:
            device = ipr.link_lookup(ifname=_DEVICE)[0]
            ipr.link("set", index=device, address=MAC, state="up")
            ipr.addr("add", index=device, address=address, prefixlen=24)

    netns.create(_NAMESPACE)
    try:
        inside(namespace, join)
        inside(_NAMESPACE, take)
        yield
    finally:
        inside(namespace, leave)
        netns.remove(_NAMESPACE)

"""Who answers for an address in the fleet's network, and how often: asked by ARP.

Any guest with an address answers, whatever else it can do, and two that have the same one both do.
The kernel's neighbour table would show one of them only, and keeps what was true once.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from contextlib import suppress
from ipaddress import IPv4Address

from pyroute2 import IPRoute, NetlinkError

from taskgen.host.frames import arp_answer, arp_probe
from taskgen.host.netns import Namespace
from taskgen.slots import Network

#: Questions, and seconds between two of them. The answers take a few milliseconds.
QUESTIONS = 20
SPACING_S = 0.02
LAST_ANSWER_S = 0.2

_ETH_P_ARP = 0x0806  # linux/if_ether.h
_NUD_STALE = 0x04  # linux/neighbour.h


async def who_has(
    namespace: Namespace, network: Network, address: str, *, questions: int = QUESTIONS
) -> dict[str, int]:
    """Ask on the fleet's bridge who has ``address``.

    :returns: how many times each MAC answered; more than ``questions`` only if some doubles them.
    :raises OSError: if the bridge is not there, or is down.
    """
    sock = await namespace.run(_open, network.bridge, undo=socket.socket.close)
    with sock:
        loop = asyncio.get_running_loop()
        answers: Counter[str] = Counter()

        wanted = IPv4Address(address)

        def read() -> None:
            with suppress(OSError):  # no more; or the bridge has just been set down
                while True:
                    found = arp_answer(sock.recv(128))
                    if found and found[0] == wanted:
                        answers[found[1]] += 1

        question = arp_probe(wanted, sock.getsockname()[4].hex(":"))
        loop.add_reader(sock, read)
        try:
            for _ in range(questions):
                with suppress(BlockingIOError):  # one less
                    sock.send(question)
                await asyncio.sleep(SPACING_S)
            if sum(answers.values()) < questions:
                await asyncio.sleep(LAST_ANSWER_S)
        finally:
            loop.remove_reader(sock)
    return dict(answers)


async def tell_neighbour(namespace: Namespace, network: Network, address: str, mac: str) -> bool:
    """Have the kernel send to ``mac`` what is for ``address``, and find out later if that is right.

    If it asks itself, and has done so before there was a guest to answer, it gives up just when
    there is one, and refuses to connect.

    :returns: whether it would have sent it to another.
    """
    return await namespace.run(_tell, network.bridge, address, mac)


def _tell(bridge: str, address: str, mac: str) -> bool:
    try:
        index = socket.if_nametoindex(bridge)
        with IPRoute() as ipr:
            known = _known(ipr, index, address)
            ipr.neigh("replace", ifindex=index, dst=address, lladdr=mac, state=_NUD_STALE)
            return known not in (None, mac.lower())
    except (NetlinkError, OSError):
        return False  # the bridge is being made again: there is none yet, or it is down


def _known(ipr: IPRoute, index: int, address: str) -> str | None:
    """Where the kernel would send what is for ``address``."""
    try:
        # Not all of them: a fleet has one for each machine.
        (entry,) = ipr.neigh("get", ifindex=index, dst=address)
    except NetlinkError:
        return None  # there is no entry
    known = entry.get_attr("NDA_LLADDR")
    return known.lower() if known else None


def _open(bridge: str) -> socket.socket:
    sock = socket.socket(
        socket.AF_PACKET,
        socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
        socket.htons(_ETH_P_ARP),
    )
    try:
        sock.bind((bridge, _ETH_P_ARP))
    except BaseException:
        sock.close()
        raise
    return sock

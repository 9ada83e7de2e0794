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


async def correct_neighbour(namespace: Namespace, network: Network, address: str, mac: str) -> bool:
    """Have the kernel send to ``mac`` what is for ``address``, if it would send it elsewhere.

    :returns: whether its entry was wrong.
    """
    return await namespace.run(_correct, network.bridge, address, mac)


def _correct(bridge: str, address: str, mac: str) -> bool:
    try:
        index = socket.if_nametoindex(bridge)
        with IPRoute() as ipr:
            # Not all of them: a fleet has one for each machine.
            for entry in ipr.neigh("get", ifindex=index, dst=address):
                known = entry.get_attr("NDA_LLADDR")
                if known and known.lower() != mac.lower():
                    ipr.neigh("replace", ifindex=index, dst=address, lladdr=mac, state=_NUD_STALE)
                    return True
    except (NetlinkError, OSError):
        return False  # there is no entry, or the bridge is being made again and has none yet
    return False


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

"""Changes of a namespace's links and addresses, told by the kernel to the event loop.

A raw netlink socket: nothing is asked and nothing decoded but which link a message is about. What
became of the link is looked up then; the message may be stale by the time that it is read.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from taskgen.errors import HostError
from taskgen.host.netns import Namespace

_RTMGRP_LINK = 0x1  # linux/rtnetlink.h
_RTMGRP_IPV4_IFADDR = 0x10
_LINK_OR_ADDRESS = (16, 17, 20, 21)  # RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR
_HEADER = struct.Struct("IHHII")  # struct nlmsghdr
_INDEX = struct.Struct("4xi")  # at the same place in struct ifinfomsg and struct ifaddrmsg
_BUFFER = 64 * 1024

#: Called with the indexes of links that changed; ``None``: messages were lost, all may have.
Listener = Callable[[Collection[int] | None], object]


@asynccontextmanager
async def link_events(namespace: Namespace, listener: Listener) -> AsyncIterator[None]:
    """Tell ``listener`` which links of the namespace changed, while in the block.

    It is called in the event loop and must not block.

    :raises HostError: if the kernel refuses.
    """
    sock = await namespace.run(_open, undo=socket.socket.close)
    loop = asyncio.get_running_loop()
    loop.add_reader(sock, _read, sock, listener)
    try:
        yield
    finally:
        loop.remove_reader(sock)
        sock.close()


def _open() -> socket.socket:
    try:
        sock = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
            socket.NETLINK_ROUTE,
        )
    except OSError as error:
        raise HostError(f"changes of links cannot be watched: {error}") from error
    try:
        sock.bind((0, _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR))
    except OSError as error:
        sock.close()
        raise HostError(f"changes of links cannot be watched: {error}") from error
    return sock


def _read(sock: socket.socket, listener: Listener) -> None:
    changed: set[int] | None = set()
    while True:
        try:
            data = sock.recv(_BUFFER)
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            changed = None
        else:
            if changed is not None:
                changed |= indexes(data)
    if changed is None or changed:
        listener(changed)


def indexes(data: bytes) -> set[int]:
    """The links that the messages of one datagram are about."""
    found, offset = set(), 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        body = offset + _HEADER.size
        if kind in _LINK_OR_ADDRESS and body + _INDEX.size <= len(data):
            found.add(_INDEX.unpack_from(data, body)[0])
        if length < _HEADER.size:
            break
        offset += -(-length // 4) * 4
    return found

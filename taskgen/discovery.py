"""Tries one address: is there a Taskloader that serves us? The edge of :mod:`taskgen.scan`."""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from taskgen.errors import RemoteProtocolError, SessionError, SessionTimeoutError
from taskgen.scan import HostState
from taskgen.session import Limits, Session, tcp

#: Makes a connected, non-blocking TCP socket to an address and a port.
Dial = Callable[[IPv4Address, int], Awaitable[socket.socket]]

#: Errors of ``connect`` that are this host's own trouble, not that of the address.
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an address is of no use now.

    :ivar state: ``None``: it was not tried, because this host could not; try again soon.
    """

    state: HostState | None
    reason: str


async def dial(address: IPv4Address, port: int) -> socket.socket:
    """Connect from where the engine is."""
    return await tcp(str(address), port)()


async def probe(
    name: str, address: IPv4Address, port: int, limits: Limits, dial: Dial = dial
) -> Session | Refusal:
    """Connect, and wait for the echo of ``AVAILABLE``; the session, or why there is none.

    :param name: the host's, for messages.
    """
    connected = False

    async def connect() -> socket.socket:
        nonlocal connected
        sock = await dial(address, port)
        connected = True
        return sock

    try:
        return await Session.open(name, connect, limits=limits)
    except RemoteProtocolError as error:
        return Refusal(HostState.ODD, f"what listens on port {port} is no Taskloader: {error}")
    except SessionTimeoutError as error:
        if not connected:
            return Refusal(HostState.SILENT, error.message)
        return Refusal(
            HostState.BUSY,
            f"busy: connected, but no answer to AVAILABLE within {limits.answer_s:g} s:"
            " another client has it, or its server hangs",
        )
    except SessionError as error:
        return _refusal(error, connected)


def _refusal(error: SessionError, connected: bool) -> Refusal:
    if connected:
        return Refusal(HostState.LOST, f"it ended the connection at once: {error.message}")
    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) else None
    if number in _OURS:
        return Refusal(None, error.message)
    if number in (errno.ECONNREFUSED, errno.ECONNRESET):
        return Refusal(HostState.REFUSED, error.message)
    return Refusal(HostState.SILENT, error.message)

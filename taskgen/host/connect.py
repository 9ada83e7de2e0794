"""TCP connections into the fleet's namespace, made from outside of it."""

from __future__ import annotations

import asyncio
import os
import socket

from taskgen.errors import SessionTimeoutError
from taskgen.host.netns import Namespace

#: Patience of the first attempts with a guest that boots; then it doubles, for one that is slow to
#: answer. A SYN sent right after the DHCP ACK can be lost, and the kernel would repeat it after a
#: second only.
BOOTING_S = 0.03

#: With one that has been there for a while, or goes on from a saved state. It loses nothing, but an
#: emulator has to translate all that it needs for its first answer: to give up an attempt too soon
#: has the guest begin again.
PRESENT_S = 0.3

_SHORT_ATTEMPTS = 4
_LONGEST_S = 2.0
_PAUSE_S = 0.03  # after a refusal: the guest is up, its server not yet


async def connect(
    namespace: Namespace,
    address: str,
    port: int,
    *,
    timeout_s: float,
    patience_s: float = BOOTING_S,
) -> socket.socket:
    """A connected, non-blocking TCP socket in ``namespace``; small writes leave at once.

    Tries again until ``timeout_s``: the guest may have its address but not its server yet.

    :param patience_s: of the first attempts: :data:`BOOTING_S` or :data:`PRESENT_S`.
    :raises SessionTimeoutError: with the last reason, if there is no connection by then.
    """
    loop = asyncio.get_running_loop()
    attempts = 0
    reason = "no answer"
    try:
        async with asyncio.timeout(timeout_s):
            while True:
                sock = await namespace.run(_make, undo=socket.socket.close)
                try:
                    async with asyncio.timeout(patience_s):
                        await loop.sock_connect(sock, (address, port))
                except TimeoutError:
                    sock.close()
                    reason = "no answer"
                    attempts += 1
                    if attempts >= _SHORT_ATTEMPTS:
                        patience_s = min(2 * patience_s, _LONGEST_S)
                except OSError as error:
                    sock.close()
                    reason = os.strerror(error.errno) if error.errno else str(error)
                    await asyncio.sleep(_PAUSE_S)
                except BaseException:
                    sock.close()
                    raise
                else:
                    return sock
    except TimeoutError as error:
        raise SessionTimeoutError(
            f"{address}:{port}: no connection within {timeout_s:g} s: {reason}"
        ) from error


async def dial(namespace: Namespace, address: str, port: int) -> socket.socket:
    """A connected, non-blocking TCP socket in ``namespace``; tried once.

    :raises OSError: with what the other side, or the kernel, said.
    """
    sock = await namespace.run(_make, undo=socket.socket.close)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _make() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock

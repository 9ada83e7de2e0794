"""Who is at the other end of a connection, as far as the kernel tells."""

from __future__ import annotations

import asyncio
import pwd
import socket
import struct
from typing import cast

from starlette.requests import HTTPConnection
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from taskgen.host.waiting import in_thread

#: Under which a connection's state has the user's number.
_UID = "peer_uid"

_CREDENTIALS = struct.Struct("3i")  # struct ucred, unix(7): pid, uid, gid


class KnownPeer(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which also notes whose process is at the other end of a Unix socket."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        uid = _uid(transport)
        if uid is not None:
            self.app_state = {**self.app_state, _UID: uid}


async def who(connection: HTTPConnection) -> str:
    """Who is there, for people: the user, or where somebody with the token is."""
    uid = connection.scope.get("state", {}).get(_UID)
    if uid is not None:
        return await in_thread(None, _user, cast(int, uid))
    if connection.client is None:
        return "somebody on the Unix socket"
    return f"somebody at {connection.client.host} with the token"


def _uid(transport: asyncio.BaseTransport) -> int | None:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    try:
        data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:  # it is gone already
        return None
    return int(_CREDENTIALS.unpack(data)[1])


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"

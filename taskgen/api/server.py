"""Serves the API in the loop that the engine runs in, until the block is left."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from taskgen.api.auth import TokenOnly
from taskgen.api.context import Context
from taskgen.api.peer import KnownPeer
from taskgen.host.waiting import finish

log = logging.getLogger(__name__)

#: Seconds for requests to be answered when the server ends.
GRACE_S = 5

#: Seconds for which a connection may wait for its next request.
KEEP_ALIVE_S = 75


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the API is offered.

    :ivar socket: listens; closed by :func:`serve`.
    :ivar token: what clients have to send; ``None``: nothing, whoever can connect may.
    :ivar path: of a Unix socket; removed at the end.
    """

    socket: socket.socket
    token: str | None = None
    path: Path | None = None

    def hide(self) -> None:
        """Take the path away; nobody else's that is there by now."""
        if self.path is not None and self.socket.fileno() != -1:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Listen no more. May be called again."""
        self.hide()
        self.socket.close()


@asynccontextmanager
async def serve(app: FastAPI, endpoints: Sequence[Endpoint]) -> AsyncIterator[None]:
    """Answer requests while in the block. Leaving it ends event streams and consoles, and waits a
    while for other requests.
    """
    context = app.state.context
    assert isinstance(context, Context)
    async with AsyncExitStack() as stack:
        for endpoint in endpoints:
            stack.callback(endpoint.close)
        for endpoint in endpoints:
            server = _server(app if endpoint.token is None else TokenOnly(app, endpoint.token))
            await server.startup(sockets=[endpoint.socket])
            stack.push_async_callback(_stop, server, endpoint)
        stack.callback(context.close)  # before the servers wait for their clients
        yield


def _server(app: ASGIApp) -> uvicorn.Server:
    # uvicorn's serve() would take the signals, and look ten times a second whether to end. Beside
    # that it only starts up and shuts down, which we do.
    config = uvicorn.Config(
        app,
        http="h11",
        ws=KnownPeer,
        lifespan="off",
        log_config=None,
        access_log=True,  # as far as the level of its logger, uvicorn.access, lets it pass
        date_header=False,  # it is what the looking is for
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        ws_max_size=2**20,
        ws_per_message_deflate=False,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    return server


async def _stop(server: uvicorn.Server, endpoint: Endpoint) -> None:
    endpoint.hide()
    await finish(server.shutdown(sockets=[endpoint.socket]))

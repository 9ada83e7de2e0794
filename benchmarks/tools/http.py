"""Requests over a Unix socket without any library, and the bare server to compare with.

``python -m benchmarks.tools.http SOCKET BYTES``: uvicorn and Starlette answer with as many bytes of
JSON, and nothing else; it goes when its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from taskgen import assets


class Requests:
    """One connection that is kept, over which one ``GET`` follows the other."""

    def __init__(self, path: Path, target: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    def get(self) -> tuple[float, bytes]:
        """Seconds until the answer was there, and its body."""
        began = time.perf_counter()
        self._socket.sendall(self._request)
        got = b""
        while b"\r\n\r\n" not in got:
            got += self._more()
        head, _, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: (\d+)", head, re.M)
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            raise RuntimeError(f"not what was asked for: {head!r}")
        while len(body) < int(length[1]):
            body += self._more()
        return time.perf_counter() - began, body

    def _more(self) -> bytes:
        piece = self._socket.recv(65536)
        if not piece:
            raise RuntimeError("the server has closed the connection")
        return piece

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


@contextmanager
def bare_server(path: Path, body_bytes: int) -> Iterator[int]:
    """The floor while in the block; its pid."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tools.http", str(path), str(body_bytes)],
        cwd=assets.root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout
        if not process.stdout.readline():
            raise RuntimeError(f"the bare server did not start: status {process.wait()}")
        yield process.pid


async def _serve(path: str, body_bytes: int) -> None:
    content = {"text": "x" * (body_bytes - len(json.dumps({"text": ""}, separators=(",", ":"))))}

    async def answer(request: Request) -> JSONResponse:
        return JSONResponse(content)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield

    app = Starlette(routes=[Route("/", answer)], lifespan=lifespan)
    config = uvicorn.Config(
        app, uds=path, http="h11", log_level="error", access_log=False, timeout_keep_alive=600
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.should_exit = True
    with suppress(asyncio.CancelledError):
        await serving


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], int(sys.argv[2])))

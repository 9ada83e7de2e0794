"""A machine's console through the daemon: a WebSocket whose messages are the console's bytes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx
from websockets.asyncio.client import ClientConnection as AsyncConnection
from websockets.asyncio.client import connect as async_connect
from websockets.asyncio.client import unix_connect as async_unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect, unix_connect

from taskgen.client.address import Address
from taskgen.client.call import error_of
from taskgen.client.transport import unreachable
from taskgen.errors import TaskgenError


class Console:
    """A console that is looked at. Iterating gives its output as it comes, until the machine or
    the daemon ends it."""

    def __init__(self, connection: ClientConnection) -> None:
        self._stack = ExitStack()
        self._connection = self._stack.enter_context(connection)

    def __iter__(self) -> Iterator[bytes]:
        try:
            for message in self._connection:
                yield _bytes(message)
        except ConnectionClosed:
            return

    def read(self, timeout_s: float | None = None) -> bytes:
        """Some output; nothing once the console has ended.

        :raises TimeoutError: if there is none within that time.
        """
        try:
            return _bytes(self._connection.recv(timeout_s))
        except ConnectionClosed:
            return b""

    def write(self, keys: bytes) -> None:
        """Type something; nobody reads it once the console has ended."""
        try:
            self._connection.send(keys)
        except ConnectionClosed:
            return

    def close(self) -> None:
        """Look away; the machine does not notice."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncConsole:
    """As :class:`Console`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for message in self._connection:
                yield _bytes(message)
        except ConnectionClosed:
            return

    async def write(self, keys: bytes) -> None:
        """As :meth:`Console.write`."""
        try:
            await self._connection.send(keys)
        except ConnectionClosed:
            return

    async def aclose(self) -> None:
        """As :meth:`Console.close`."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


def open_console(address: Address, name: str, *, recent: bool = False) -> Console:
    """Look at the console of the machine ``name``; errors as of :meth:`Client.console`."""
    url, options = _url(address, name, recent), _options(address)
    try:
        if address.socket is not None:
            return Console(unix_connect(str(address.socket), url, **options))
        return Console(connect(url, proxy=None, **options))
    except (OSError, InvalidHandshake) as error:
        raise _refused(address, url, error) from error


async def open_async_console(address: Address, name: str, *, recent: bool = False) -> AsyncConsole:
    """As :func:`open_console`."""
    url, options = _url(address, name, recent), _options(address)
    try:
        if address.socket is not None:
            return AsyncConsole(await async_unix_connect(str(address.socket), url, **options))
        return AsyncConsole(await async_connect(url, proxy=None, **options))
    except (OSError, InvalidHandshake) as error:
        raise _refused(address, url, error) from error


def _url(address: Address, name: str, recent: bool) -> str:
    path = f"/v1/machines/{quote(name, safe='')}/console"
    return f"ws{address.url.removeprefix('http')}{path}{'?recent=true' if recent else ''}"


def _options(address: Address) -> dict[str, Any]:
    return {"additional_headers": dict(address.headers), "compression": None}


def _bytes(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message


def _refused(address: Address, url: str, error: OSError | InvalidHandshake) -> TaskgenError:
    if not isinstance(error, InvalidStatus):
        return unreachable(address, error)
    answer = error.response
    return error_of(
        httpx.Response(
            answer.status_code,
            content=bytes(answer.body or b""),
            request=httpx.Request("GET", url),
        )
    )

"""The client for programs with an event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import httpx
from httpx_sse import EventSource

from taskgen.client import calls
from taskgen.client.address import Address, find
from taskgen.client.api import Api
from taskgen.client.call import Call, error_of
from taskgen.client.console import AsyncConsole, open_async_console
from taskgen.client.routes import Awaiting
from taskgen.client.stream import SILENT_S, LogPosition, Position, refusal
from taskgen.client.transport import Repeats, unreachable
from taskgen.client.uploads import digest, found
from taskgen.errors import DaemonUnreachableError, TaskgenError
from taskgen.resources import ConsoleLine, EventKind, StreamEvent

T = TypeVar("T")


class AsyncClient(Api, Awaiting):
    """Talks to the daemon; belongs to one event loop. Otherwise as
    :class:`taskgen.client.Client`, where parameters and errors are told."""

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        url: str | None = None,
        token: str | None = None,
        *,
        address: Address | None = None,
        timeout_s: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = address or find(socket, url, token)
        if transport is None and self.address.socket is not None:
            transport = httpx.AsyncHTTPTransport(uds=str(self.address.socket))
        self._http = httpx.AsyncClient(
            transport=transport,
            base_url=self.address.url,
            headers=dict(self.address.headers),
            timeout=timeout_s,
            trust_env=False,
        )

    async def execute(self, call: Call[T]) -> T:
        repeats = Repeats(call)
        while True:
            try:
                response = await self._http.send(call.request(self._http))
            except httpx.TransportError as error:
                delay_s = repeats.after(error)
                if delay_s is None:
                    raise unreachable(self.address, error) from error
            else:
                delay_s = repeats.after(response)
                if delay_s is None:
                    return call.result(response)
            await asyncio.sleep(delay_s)

    async def events(
        self,
        after: str | None = None,
        *,
        kinds: Iterable[EventKind | str] = (),
        job: str | None = None,
        run_events: bool = False,
    ) -> AsyncGenerator[StreamEvent, None]:
        """As :meth:`Client.events`."""
        position = Position(after, kinds=kinds, job=job, run_events=run_events)
        while True:
            try:
                async with self.listen(position) as stream:
                    async for event in stream:
                        yield event
            except DaemonUnreachableError:
                if not position.ever:
                    raise
            await asyncio.sleep(position.delay_s())

    @asynccontextmanager
    async def listen(self, position: Position) -> AsyncIterator[AsyncIterator[StreamEvent]]:
        """One connection to the event stream; ``position`` moves on with it. In the block, the
        daemon has begun to tell. The events end when it closes the connection.

        :raises DaemonUnreachableError: if it cannot be reached, or the connection is lost.
        """
        try:
            async with self._stream(position.call(), SILENT_S, refusal) as response:
                position.connected()
                async with aclosing(_events(response, position)) as events:
                    yield events
        except httpx.TransportError as error:
            raise unreachable(self.address, error) from error

    async def results(self, **choice: Any) -> AsyncGenerator[bytes, None]:
        """As :meth:`Client.results`."""
        try:
            async with self._stream(calls.results(**choice)) as response:
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.TransportError as error:
            raise unreachable(self.address, error) from error

    async def save_results(self, file: IO[bytes], **choice: Any) -> int:
        """As :meth:`Client.save_results`."""
        size = 0
        async with aclosing(self.results(**choice)) as pieces:
            async for piece in pieces:
                size += file.write(piece)
        return size

    async def console_lines(
        self, name: str, *, lost: Callable[[], object] = lambda: None, **choice: Any
    ) -> AsyncGenerator[ConsoleLine, None]:
        """As :meth:`Client.console_lines`."""
        position = LogPosition(name, choice)
        while True:
            refused = refusal if position.ever else error_of
            try:
                async with self._stream(position.call(), SILENT_S, refused) as response:
                    position.connected()
                    async for line in response.aiter_lines():
                        if line:
                            yield position.read(line)
                if not position.lasts:
                    return
            except httpx.TransportError as error:
                if not (position.lasts and position.ever):
                    raise unreachable(self.address, error) from error
            except DaemonUnreachableError:
                if not position.ever:
                    raise
            if position.lost():
                lost()
            await asyncio.sleep(position.delay_s())

    async def console(self, name: str, *, recent: bool = False) -> AsyncConsole:
        """As :meth:`Client.console`."""
        return await open_async_console(self.address, name, recent=recent)

    async def upload_binary(self, path: str | os.PathLike[str]) -> str:
        """As :meth:`Client.upload_binary`."""
        content = calls.read_binary(path)
        sha256 = digest(content)
        if not await self.has_binary(sha256):
            await self.put_binary(sha256, content)
        return sha256

    async def ensure_binaries(
        self, names: Iterable[str], directories: Iterable[Path]
    ) -> dict[str, str]:
        """As :meth:`Client.ensure_binaries`."""
        places = found(names, directories)
        return {name: await self.upload_binary(path) for name, path in places.items()}

    @asynccontextmanager
    async def _stream(
        self,
        call: Call[Any],
        read_s: float | None = None,
        refused: Callable[[httpx.Response], TaskgenError] = error_of,
    ) -> AsyncIterator[httpx.Response]:
        request = call.request(self._http)
        if read_s is not None:
            request.extensions = {"timeout": {**request.extensions["timeout"], "read": read_s}}
        response = await self._http.send(request, stream=True)
        try:
            if not response.is_success:
                await response.aread()
                raise refused(response)
            yield response
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


async def _events(
    response: httpx.Response, position: Position
) -> AsyncGenerator[StreamEvent, None]:
    async with aclosing(EventSource(response).aiter_sse()) as stream:
        async for sent in stream:
            if (event := position.read(sent)) is not None:
                yield event

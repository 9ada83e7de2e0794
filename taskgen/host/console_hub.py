"""A guest's serial line for those who watch it and type: any number, none of them waited for.

QEMU itself logs the line to a file and throws it away while nobody is connected. Once somebody is,
it waits for them: one who stops reading stops the guest. So the only one who ever connects is the
hub, which takes all there is at once and lets slow viewers miss some of it. It connects only while
somebody watches.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from taskgen.errors import MachineError

log = logging.getLogger(__name__)

#: Bytes that a viewer may be behind before the oldest of them are dropped.
BEHIND = 256 * 1024

#: Bytes that a viewer is given at once, and that are typed at once.
PIECE = 16 * 1024

#: Seconds for QEMU to accept, and for a guest to take what is typed: its line takes a few bytes.
TAKE_S = 5.0


class Viewer(AsyncIterator[bytes]):
    """One who watches: what the guest prints from now on, until its QEMU ends or :meth:`close`.

    Where something was dropped, a line says how much. Made by :meth:`ConsoleHub.attach`.

    :ivar dropped: bytes that were dropped, because it was read too slowly.
    """

    def __init__(self, hub: ConsoleHub) -> None:
        self.dropped = 0
        self._hub = hub
        self._buffer = bytearray()
        self._gap = 0
        self._ended = False
        self._news = asyncio.Event()

    async def __anext__(self) -> bytes:
        while not self._buffer:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        if self._gap:
            notice = f"\r\n[{self._gap} bytes were dropped here: they came faster than read]\r\n"
            self._gap = 0
            return notice.encode()
        piece = bytes(self._buffer[:PIECE])
        del self._buffer[:PIECE]
        return piece

    async def write(self, data: bytes) -> None:
        """Type. What several viewers type at the same time may come mixed.

        :raises MachineError: if the guest does not take it in time, or its console has ended.
        """
        await self._hub.write(data)

    def close(self) -> None:
        """Watch no more. May be called again."""
        self.end()
        self._hub.detach(self)

    def give(self, data: bytes) -> None:
        """For the hub: what the guest has printed."""
        self._buffer += data
        if (excess := len(self._buffer) - BEHIND) > 0:
            del self._buffer[:excess]
            self._gap += excess
            self.dropped += excess
        self._news.set()

    def end(self) -> None:
        """For the hub: nothing more will come."""
        self._ended = True
        self._news.set()


class ConsoleHub:
    """The serial line of one machine.

    :param name: the machine's, for messages.
    :param path: the Unix socket on which its QEMU listens.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self._viewers: set[Viewer] = set()
        self._line: _Line | None = None

    def attach(self) -> Viewer:
        """One more who watches; close it. If QEMU has ended, it sees just that."""
        viewer = Viewer(self)
        self._viewers.add(viewer)
        if self._line is None:
            self._line = _Line(self)
        return viewer

    def detach(self, viewer: Viewer) -> None:
        """For the viewer: it watches no more."""
        self._viewers.discard(viewer)
        if not self._viewers and self._line is not None:
            self._line.hang_up()
            self._line = None

    async def write(self, data: bytes) -> None:
        """For the viewer: see :meth:`Viewer.write`."""
        if self._line is None:
            raise MachineError(f"{self.name}: its console has ended")
        try:
            async with asyncio.timeout(TAKE_S):
                await self._line.write(data)
        except TimeoutError as error:
            raise MachineError(
                f"{self.name}: its console has not taken what was typed for {TAKE_S:g} s",
                hint="the guest may not read its serial line",
            ) from error

    def close(self) -> None:
        """End for all who watch; the machine goes on."""
        for viewer in tuple(self._viewers):
            viewer.close()

    def received(self, data: bytes) -> None:
        """For the line: what the guest has printed."""
        for viewer in self._viewers:
            viewer.give(data)

    def lost(self, line: _Line) -> None:
        """For the line: QEMU has ended, or does not answer."""
        if line is self._line:
            self._line = None
            while self._viewers:
                self._viewers.pop().end()


class _Line(asyncio.Protocol):
    """One connection to QEMU."""

    def __init__(self, hub: ConsoleHub) -> None:
        self._hub = hub
        self._transport: asyncio.Transport | None = None
        self._writable = asyncio.Event()  # also set once it has ended
        self._ended = False
        self._connecting = asyncio.create_task(self._connect(), name=f"{hub.name}: console")

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            await self._writable.wait()
            if self._ended or self._transport is None:
                raise MachineError(f"{self._hub.name}: its console has ended")
            self._transport.write(data[start : start + PIECE])
        await self._writable.wait()

    def hang_up(self) -> None:
        self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TAKE_S):
                await loop.create_unix_connection(lambda: self, str(self._hub.path))
        except OSError as error:  # TimeoutError is one too
            log.debug("%s: no connection to its console: %s", self._hub.name, error)
            self._end()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=PIECE)
        self._transport = transport
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._hub.received(data)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._writable.set()
        self._hub.lost(self)

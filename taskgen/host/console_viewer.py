"""One of those who watch a guest's serial line: what it is behind, and what it has typed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

log = logging.getLogger(__name__)

#: Bytes that a viewer may be behind before the oldest of them are dropped.
BEHIND = 256 * 1024

#: Bytes that a viewer is given at once, and that are typed at once.
PIECE = 16 * 1024


class Viewer(AsyncIterator[bytes]):
    """One who watches: what the guest prints, until its QEMU ends or :meth:`close`.

    Where something was dropped, a line says how much. The log tells who types, once, and at the end
    how much that was; never what. Made by :meth:`~taskgen.host.console_hub.ConsoleHub.attach`.

    :param machine: whose line it is, for the log.
    :param who: who watches, for the log.
    :param write: types on the line.
    :param leave: called by :meth:`close`.
    :ivar dropped: bytes that were dropped, because it was read too slowly.
    :ivar typed: bytes that were typed.
    """

    def __init__(
        self,
        machine: str,
        who: str,
        *,
        write: Callable[[bytes], Awaitable[None]],
        leave: Callable[[Viewer], object],
    ) -> None:
        self.dropped = 0
        self.typed = 0
        self._machine = machine
        self._who = who
        self._write = write
        self._leave = leave
        self._buffer = bytearray()
        self._gap = 0
        self._types = False
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

    @property
    def behind(self) -> int:
        """Bytes that were printed and that it has not been given yet."""
        return self._gap + len(self._buffer)

    async def write(self, data: bytes) -> None:
        """Type. What several viewers type at the same time may come mixed.

        :raises MachineError: if the guest does not take it in time, or its console has ended.
        """
        if data and not self._types:
            self._types = True
            log.info("%s: %s begins to type on its console", self._machine, self._who)
        await self._write(data)
        self.typed += len(data)

    def close(self) -> None:
        """Watch no more. May be called again."""
        self.end()
        self._leave(self)

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
        if self._types and not self._ended:
            log.info("%s: %s has typed %d bytes", self._machine, self._who, self.typed)
        self._ended = True
        self._news.set()

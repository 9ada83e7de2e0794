"""One of those who watch a guest's serial line: what it is behind, and what it has typed."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack

from taskgen.host.console import Console
from taskgen.host.foreign_files import open_to_read
from taskgen.host.holes import first_data

log = logging.getLogger(__name__)

#: Bytes that a viewer may be behind before the oldest of them are dropped.
BEHIND = 256 * 1024

#: Bytes that a viewer is given at once.
PIECE = 16 * 1024


class Viewer(AsyncIterator[bytes]):
    """One who watches: what the guest prints, until its QEMU ends or :meth:`close`.

    It reads the log, at its own pace; nobody waits for it. Where something was dropped, a line says
    how much. Our log tells who types, once, and at the end how much that was; never what. Made by
    :meth:`~taskgen.host.console_hub.ConsoleHub.attach`.

    :param machine: whose line it is, for the log.
    :param who: who watches, for the log.
    :param write: types on the line.
    :param leave: called by :meth:`close`.
    :ivar position: offset in the console's log behind what it was given.
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
        self.position = 0
        self.dropped = 0
        self.typed = 0
        self._machine = machine
        self._who = who
        self._write = write
        self._leave = leave
        self._before = b""
        self._end = 0  # offset behind what is known to be there
        self._file = -1
        self._open = ExitStack()
        self._types = False
        self._ended = False
        self._news = asyncio.Event()

    def begin(self, console: Console) -> None:
        """For the hub: what to read; from now on.

        :raises HostError: if it cannot be watched.
        :raises OSError: if it cannot be read.
        """
        with ExitStack() as stack:
            self._file = stack.enter_context(open_to_read(console.path)).fileno()
            stack.callback(console.on_output(lambda output: self._printed(output.end)))
            self.position = self._end = console.size
            self._open = stack.pop_all()

    def give_before(self, data: bytes) -> None:
        """For the hub: what was printed before, to be given first."""
        self._before = data

    async def __anext__(self) -> bytes:
        while not self.behind:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        if self._before:
            piece, self._before = self._before[:PIECE], self._before[PIECE:]
            return piece
        # What is too much for the log is a hole in it.
        kept = max(self._end - BEHIND, first_data(self._file, self.position))
        if (excess := kept - self.position) > 0:
            self.position += excess
            self.dropped += excess
            notice = f"\r\n[{excess} bytes were dropped here: they came faster than read]\r\n"
            return notice.encode()
        # Not in a thread: what was written just now is in memory.
        piece = os.pread(self._file, min(PIECE, self.behind), self.position)
        if not piece:
            raise StopAsyncIteration  # somebody has cut it off
        self.position += len(piece)
        return piece

    @property
    def behind(self) -> int:
        """Bytes that were printed and that it has not been given yet."""
        return len(self._before) + self._end - self.position

    async def write(self, data: bytes) -> None:
        """Type. What several viewers type at the same time comes one after the other.

        :raises MachineError: if the guest does not take it in time, or its console has ended.
        """
        if data and not self._types:
            self._types = True
            log.info("%s: %s begins to type on its console", self._machine, self._who)
        await self._write(data)
        self.typed += len(data)

    def close(self) -> None:
        """Watch no more; nothing more will come. May be called again."""
        self.end()
        self._open.close()
        self._before = b""
        self._end = self.position
        self._leave(self)

    def end(self) -> None:
        """For the hub: nothing more will be printed."""
        if self._types and not self._ended:
            log.info("%s: %s has typed %d bytes", self._machine, self._who, self.typed)
        self._ended = True
        self._news.set()

    def _printed(self, end: int) -> None:
        self._end = end
        self._news.set()

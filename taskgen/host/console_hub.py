"""A guest's serial line for those who watch it and type: any number, none of them waited for.

QEMU itself logs the line to a file and throws it away while nobody is connected. Once somebody is,
it waits for them: one who stops reading stops the guest. So the only one who ever connects is the
hub, which takes all there is at once and lets slow viewers miss some of it. It connects only while
somebody watches.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from taskgen.errors import MachineError
from taskgen.host.console_viewer import PIECE, Viewer
from taskgen.host.waiting import in_thread

log = logging.getLogger(__name__)

#: Bytes that a viewer is shown of what was printed before it came.
RECENT = 4 * 1024

#: Seconds for QEMU to accept, and for a guest to take what is typed: its line takes a few bytes.
TAKE_S = 5.0


class ConsoleHub:
    """The serial line of one machine.

    :param name: the machine's, for messages.
    :param path: the Unix socket on which its QEMU listens.
    :param printed: gives the end of what the guest has printed; may block.
    """

    def __init__(self, name: str, path: Path, printed: Callable[[], bytes] = bytes) -> None:
        self.name = name
        self.path = path
        self._printed = printed
        self._viewers: set[Viewer] = set()
        self._asking: set[Viewer] = set()  # for what was printed before, which is not read yet
        self._recent: bytearray | None = None  # what was printed last, as long as there is a line
        self._line: _Line | None = None

    def attach(self, who: str = "somebody", *, recent: bool = False) -> Viewer:
        """One more who watches; close it. If QEMU has ended, it sees just that.

        :param who: for the log.
        :param recent: begin with what the guest has printed last: whole lines, :data:`RECENT` bytes
            at most.
        """
        viewer = Viewer(self.name, who, write=self.write, leave=self.detach)
        self._viewers.add(viewer)
        if self._line is None:
            self._line = _Line(self)
        if recent and self._recent is None:
            self._asking.add(viewer)
        elif recent:
            viewer.give(self._last_lines())
        return viewer

    def detach(self, viewer: Viewer) -> None:
        """For the viewer: it watches no more."""
        self._viewers.discard(viewer)
        self._asking.discard(viewer)
        if not self._viewers and self._line is not None:
            self._line.hang_up()
            self._line = self._recent = None

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

    def read_printed(self) -> bytes:
        """For the line: what the guest has printed until now. Blocks."""
        return self._printed()

    def begin(self, printed: bytes) -> None:
        """For the line: it is about to connect, and that was printed before."""
        self._recent = bytearray(printed[-RECENT:])
        while self._asking:
            self._asking.pop().give(self._last_lines())

    def received(self, data: bytes) -> None:
        """For the line: what the guest has printed."""
        if self._recent is not None:
            self._recent += data
            del self._recent[:-RECENT]
        for viewer in self._viewers:
            viewer.give(data)

    def lost(self, line: _Line) -> None:
        """For the line: QEMU has ended, or does not answer."""
        if line is self._line:
            self._line = self._recent = None
            self._asking.clear()
            while self._viewers:
                self._viewers.pop().end()

    def _last_lines(self) -> bytes:
        """From the beginning of a line: half an escape sequence would spoil a terminal."""
        recent = bytes(self._recent or b"")
        return recent if len(recent) < RECENT else recent.partition(b"\n")[2]


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
        # What comes between the two is in the log only: better than to be shown twice.
        self._hub.begin(await in_thread(None, self._hub.read_printed))
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

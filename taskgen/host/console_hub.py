"""A guest's serial line for those who watch it and type: any number, none of them waited for.

QEMU itself logs the line to a file and throws it away while nobody is connected. Once somebody is,
it waits for them: one who stops reading stops the guest. So the only one who ever connects is the
hub, which takes all there is at once and lets slow viewers miss some of it. It connects only while
somebody watches.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from pathlib import Path

from taskgen.errors import MachineError
from taskgen.host.console_viewer import PIECE, Viewer
from taskgen.host.waiting import in_thread

log = logging.getLogger(__name__)

#: Bytes that whoever begins to watch is shown of what was printed before: some fifty lines.
RECENT = 4 * 1024

#: Bytes of it that are kept, as long as somebody watches.
KEPT = 64 * 1024

#: What has a terminal answer by itself: where its cursor is, and what it is. Shown late, it would
#: have the answer typed at a guest that has long stopped waiting for it.
_QUESTIONS = re.compile(rb"\x1b\[[?>=]?[\d;]*[cn]")

#: Seconds for QEMU to accept, and for a guest to take what is typed: its line takes a few bytes.
TAKE_S = 5.0

#: Seconds for the guest to take what was typed by one who left at once: QEMU forgets the rest when
#: we hang up.
LINGER_S = 1.0


class ConsoleHub:
    """The serial line of one machine.

    :param name: the machine's, for messages.
    :param path: the Unix socket on which its QEMU listens.
    :param printed: gives the end of what the guest has printed, and the offset behind it in all
        that it has; may block for a moment.
    :ivar position: that offset, as it was when last somebody watched.
    :ivar closed: set once nobody will be able to watch any more.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        printed: Callable[[], tuple[int, bytes]] = lambda: (0, b""),
    ) -> None:
        self.name = name
        self.path = path
        self.position = 0
        self.closed = asyncio.Event()
        self._printed = printed
        self._viewers: set[Viewer] = set()
        self._asking: dict[Viewer, tuple[int, int]] = {}  # what was before is not read yet
        self._recent: bytearray | None = None  # what was printed last, as long as there is a line
        self._line: _Line | None = None
        self._typed = False  # on this line
        self._lingering: asyncio.TimerHandle | None = None

    def attach(self, who: str = "somebody", *, recent: int = 0, seen: int = 0) -> Viewer:
        """One more who watches; close it. If QEMU has ended, it sees just that.

        :param who: for the log.
        :param recent: begin with so many of the bytes that the guest has printed last, at most.
        :param seen: but with none before this offset.
        """
        viewer = Viewer(self.name, who, write=self.write, leave=self.detach)
        if self.closed.is_set():
            viewer.end()
            return viewer
        self._viewers.add(viewer)
        if self._line is None:
            self._line = _Line(self)
        if self._recent is None:
            self._asking[viewer] = recent, seen
        else:
            viewer.give(self._last(recent, seen))
        return viewer

    def detach(self, viewer: Viewer) -> None:
        """For the viewer: it watches no more."""
        self._viewers.discard(viewer)
        self._asking.pop(viewer, None)
        if self._typed and self._lingering is None and not self._viewers:
            self._lingering = asyncio.get_running_loop().call_later(LINGER_S, self._hang_up)
        elif not self._typed:
            self._hang_up()

    def rest(self, seen: int) -> bytes:
        """What was printed behind an offset, once the console is closed: its last :data:`KEPT`."""
        return self._last(KEPT, seen)

    async def write(self, data: bytes) -> None:
        """For the viewer: see :meth:`Viewer.write`."""
        if self._line is None:
            raise MachineError(f"{self.name}: its console has ended")
        self._typed = True
        try:
            async with asyncio.timeout(TAKE_S):
                await self._line.write(data)
        except TimeoutError as error:
            raise MachineError(
                f"{self.name}: its console has not taken what was typed for {TAKE_S:g} s",
                hint="the guest may not read its serial line",
            ) from error

    def close(self) -> None:
        """End for all who watch; the machine goes on. May be called again."""
        for viewer in tuple(self._viewers):
            viewer.close()
        self._hang_up()
        if not self.closed.is_set():
            self.begin(*self._printed())  # while it can still be read
            self.closed.set()

    def _hang_up(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        if not self._viewers and self._line is not None:
            self._line.hang_up()
            self._line = self._recent = None
            self._typed = False

    def read_printed(self) -> tuple[int, bytes]:
        """For the line: what the guest has printed until now. Blocks for a moment."""
        return self._printed()

    def begin(self, position: int, printed: bytes) -> None:
        """For the line: it is about to connect, and that was printed before."""
        self.position = position
        self._recent = bytearray(printed[-KEPT:])
        while self._asking:
            viewer, wanted = self._asking.popitem()
            viewer.give(self._last(*wanted))

    def received(self, data: bytes) -> None:
        """For the line: what the guest has printed."""
        self.position += len(data)
        if self._recent is not None:
            self._recent += data
            del self._recent[:-KEPT]
        for viewer in self._viewers:
            viewer.give(data)

    def lost(self, line: _Line) -> None:
        """For the line: QEMU has ended, or does not answer."""
        if line is self._line:
            self._line = self._recent = None
            self._typed = False
            self._asking.clear()
            while self._viewers:
                self._viewers.pop().end()

    def _last(self, recent: int, seen: int) -> bytes:
        """From the beginning of a line, if not of all: half a sequence would spoil a terminal."""
        kept = bytes(self._recent or b"")
        unseen = max(0, self.position - seen)
        length = min(unseen, recent, len(kept))
        last = kept[len(kept) - length :]
        if length < unseen:
            last = last.partition(b"\n")[2]
        return _QUESTIONS.sub(b"", last)


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
        self._hub.begin(*await in_thread(None, self._hub.read_printed))
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

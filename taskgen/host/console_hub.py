"""A guest's serial line for those who watch it and type: any number, none of them waited for.

QEMU itself logs the line to a file. Whoever watches reads that file, so QEMU does not know of them;
only to type is there a connection to it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

from taskgen.errors import HostError, MachineError
from taskgen.host.console import Console
from taskgen.host.console_keys import Keyboard
from taskgen.host.console_viewer import Viewer

#: Bytes that whoever begins to watch is shown of what was printed before: some fifty lines.
RECENT = 4 * 1024

#: Bytes of it that can be had at most.
KEPT = 64 * 1024

#: What has a terminal answer by itself: where its cursor is, and what it is. Shown late, it would
#: have the answer typed at a guest that has long stopped waiting for it.
_QUESTIONS = re.compile(rb"\x1b\[[?>=]?[\d;]*[cn]")


class ConsoleHub:
    """The serial line of one machine.

    :param name: the machine's, for messages.
    :param path: the Unix socket on which its QEMU listens, of :data:`console_keys.KIND`.
    :param console: what the guest prints.
    """

    def __init__(self, name: str, path: Path, console: Console) -> None:
        self.name = name
        self.path = path
        self._console = console
        self._keyboard = Keyboard(name, path)
        self._viewers: set[Viewer] = set()
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._last_words = (0, b"")  # what was there in the end, and the offset behind it
        self._next: asyncio.Future[ConsoleHub | None] | None = None

    @property
    def closed(self) -> bool:
        """Whether nobody is able to watch any more."""
        return self._closed.done()

    def on_close(self, callback: Callable[[], object]) -> Callable[[], object]:
        """Call ``callback`` once nobody will be able to watch any more; it must not block.

        :returns: call that to have it called no more.
        """

        def tell(_: asyncio.Future[None]) -> None:
            callback()

        self._closed.add_done_callback(tell)
        return lambda: self._closed.remove_done_callback(tell)

    def attach(self, who: str = "somebody", *, recent: int = 0, seen: int = 0) -> Viewer:
        """One more who watches; close it. If QEMU has ended, it sees just that.

        :param who: for the log.
        :param recent: begin with so many of the bytes that the guest has printed last, at most.
        :param seen: but with none before this offset.
        :raises HostError: if the log cannot be watched.
        """
        viewer = Viewer(self.name, who, write=self._write, leave=self._viewers.discard)
        if self.closed:
            viewer.end()
            return viewer
        try:
            viewer.begin(self._console)
            if recent:
                start = max(self._console.first, viewer.position - KEPT)
                said = self._console.read(start, viewer.position)
                viewer.give_before(_last(viewer.position, said, recent, seen))
        except OSError as error:
            viewer.close()
            raise HostError(
                f"{self.name}: its console's log cannot be read: {error.strerror}"
            ) from error
        self._viewers.add(viewer)
        return viewer

    def rest(self, seen: int) -> bytes:
        """What was printed behind an offset, once the console is closed: its last :data:`KEPT`."""
        return _last(*self._last_words, KEPT, seen)

    def expect_next(self) -> None:
        """The machine is about to have another QEMU in the place of this one."""
        self._next = asyncio.get_running_loop().create_future()

    def tell_next(self, hub: ConsoleHub | None) -> None:
        """The machine has another QEMU, with this console; ``None``: there is none after all."""
        if self._next is not None and not self._next.done():
            self._next.set_result(hub)

    async def next(self) -> ConsoleHub | None:
        """The console with which the machine goes on, as soon as it is there; ``None``: there is
        none, because the machine has ended."""
        return None if self._next is None else await asyncio.shield(self._next)

    def end(self) -> None:
        """End for all who watch: nothing will be printed any more. May be called again."""
        if self.closed:
            return
        self._console.look()  # for the viewers' last words
        self._last_words = self._console.end()
        self._closed.set_result(None)
        for viewer in self._viewers:
            viewer.end()

    async def close(self) -> None:
        """End for all who watch and type; the machine may go on. May be called again."""
        self.end()
        await self._keyboard.close()

    async def _write(self, data: bytes) -> None:
        if self.closed:
            raise MachineError(f"{self.name}: its console has ended")
        await self._keyboard.type(data)


def _last(end: int, said: bytes, recent: int, seen: int) -> bytes:
    """From the beginning of a line, if not of all: half a sequence would spoil a terminal.

    :param said: may begin with zeros, where the log has lost its head.
    :param end: the offset behind it.
    """
    said = said.lstrip(b"\0")
    unseen = max(0, end - seen)
    length = min(unseen, recent, len(said))
    last = said[len(said) - length :]
    if length < unseen:
        last = last.partition(b"\n")[2]
    return _QUESTIONS.sub(b"", last)

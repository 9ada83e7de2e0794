"""A machine's console in a session of ``screen``: a terminal whose other end is ours.

Screen opens a device as a serial line. The device is a pseudo-terminal that we write to without
waiting: while nobody reads it (screen does not in its copy mode) the hub drops what does not fit,
and the guest goes on. No process is needed in between, and with our end the session ends as well,
in whatever way we went.

What the guest prints is shown only while somebody is attached: to keep dozens of terminals that
nobody looks at would cost the guests their time. Who attaches is shown what was printed meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import re
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from taskgen.errors import HostError, MachineError
from taskgen.host.console_hub import KEPT, ConsoleHub
from taskgen.host.console_viewer import PIECE, Viewer
from taskgen.host.inotify import Change, Inotify
from taskgen.host.process import Exit, Process, running
from taskgen.host.screen_sessions import Session, directory, remove_dead
from taskgen.host.waiting import beside, finish, in_thread

#: Said once in each session.
_WELCOME = "[console of {name}; Ctrl-A D leaves it, Ctrl-A [ looks back]\r\n"

_RC = Path(__file__).with_name("screenrc")

#: Flow control off: a guest that prints ^S would stop what is typed.
_LINE = "38400,cs8,-ixon,-ixoff,-istrip"

#: What a terminal answers by itself when a guest asks where the cursor is, or what it is.
_ANSWERS = re.compile(rb"(?:\x1b\[[?>]?[\d;]*[Rcn])+")


class Screen:
    """A session. Made by :func:`screen`.

    :param terminal: our end, which never blocks.
    """

    def __init__(self, name: str, terminal: int, process: Process, session: Session) -> None:
        self.name = name
        self._terminal = terminal
        self._process = process
        self._session = session
        self._greeted = False
        self._changed = asyncio.Event()  # it may be attached, or no more
        self._viewer: Viewer | None = None  # as long as somebody is attached
        self._passing: asyncio.Task[None] | None = None  # of keys, to the machine
        self._seen = 0  # offset behind what was shown of what the machine has printed

    def look(self) -> None:
        """Somebody may have attached or detached."""
        if not self._greeted and self._session.attached:
            # Not before: what is there when screen opens the device is lost.
            os.write(self._terminal, _WELCOME.format(name=self.name).encode())
            self._greeted = True
        self._changed.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> Exit:
        """Wait until the session has ended, in whatever way."""
        return await self._process.wait()

    def on_end(self, callback: Callable[[Exit], object]) -> Callable[[], object]:
        """Call ``callback`` once the session has ended; it must not block.

        :returns: call that to have it called no more.
        """
        return self._process.on_end(callback)

    async def show(self, data: bytes) -> None:
        """Show something; waits as long as screen does not read."""
        while data:
            try:
                data = data[os.write(self._terminal, data) :]
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await _possible(self._terminal, loop.add_writer, loop.remove_writer)

    async def keys(self) -> bytes:
        """What is typed next.

        What screen answers a guest while nobody looks is none of it: the guest would take it for
        typed, only because there is a screen.
        """
        loop = asyncio.get_running_loop()
        while not (data := self._typed()):
            await _possible(self._terminal, loop.add_reader, loop.remove_reader)
        return data

    async def ignore_keys(self) -> None:
        """Drop what is typed, until cancelled."""
        while True:
            await self.keys()

    async def use(self, hub: ConsoleHub) -> None:
        """Be the terminal of a machine, until its console is closed."""
        self._seen = 0
        stop = hub.on_close(self._changed.set)
        self._await_keys(hub)
        try:
            while not hub.closed:
                self._changed.clear()
                if self._session.attached:
                    await self._watch(hub)
                else:
                    await self._changed.wait()
        finally:
            stop()
            await self._stop_passing()
        await self.show(hub.rest(self._seen))

    async def _watch(self, hub: ConsoleHub) -> None:
        """Show what there is to be seen as long as somebody is attached."""
        self._viewer = viewer = hub.attach("screen", recent=KEPT, seen=self._seen)
        try:
            async with beside(self._until_detached(viewer)):
                async for piece in viewer:
                    await self.show(piece)
        finally:
            self._viewer = None
            self._seen = viewer.position
            viewer.close()

    async def _until_detached(self, viewer: Viewer) -> None:
        while self._session.attached:
            self._changed.clear()
            await self._changed.wait()
        viewer.close()

    def _typed(self) -> bytes:
        """What is typed and was not read; nothing: there is none."""
        with suppress(BlockingIOError):
            while True:
                data = os.read(self._terminal, PIECE)
                if not self._session.attached:
                    data = _ANSWERS.sub(b"", data)
                if data:
                    return data
        return b""

    def _await_keys(self, hub: ConsoleHub) -> None:
        """What is typed goes to a machine; only then is there a task for it."""
        asyncio.get_running_loop().add_reader(self._terminal, self._begin_to_pass, hub)

    def _begin_to_pass(self, hub: ConsoleHub) -> None:
        asyncio.get_running_loop().remove_reader(self._terminal)
        self._passing = asyncio.create_task(self._pass_keys(hub), name=f"{self.name}: keys")
        self._passing.add_done_callback(partial(self._passed, hub))

    def _passed(self, hub: ConsoleHub, passed: asyncio.Task[None]) -> None:
        if passed is self._passing and not passed.cancelled() and passed.exception() is None:
            self._passing = None
            self._await_keys(hub)

    async def _stop_passing(self) -> None:
        asyncio.get_running_loop().remove_reader(self._terminal)
        passing, self._passing = self._passing, None
        if passing is not None:
            passing.cancel()
            await finish(asyncio.wait([passing]))

    async def _pass_keys(self, hub: ConsoleHub) -> None:
        while keys := self._typed():
            # Without anybody attached: screen -X stuff.
            viewer = self._viewer or hub.attach("screen")
            try:
                await viewer.write(keys)
            except MachineError as error:
                await self.show(f"\r\n[{error.message}]\r\n".encode())
            finally:
                if viewer is not self._viewer:
                    viewer.close()


@asynccontextmanager
async def screen(name: str, inotify: Inotify) -> AsyncIterator[Screen]:
    """A session called ``name`` while in the block; nobody is attached on entry.

    :raises MissingToolError: if there is no screen.
    :raises HostError: if it cannot be started, or there is a session of this name, which is not
        ours then.
    """
    place = await directory()
    await in_thread(None, _free, place, name)
    with _terminal() as (terminal, device):
        argv = [
            *["screen", "-D", "-m"],  # detached, and our child: it does not fork
            *["-c", str(_RC), "-S", name, "-t", name],
            *[os.ttyname(device), _LINE],
        ]
        try:
            async with running(f"screen {name}", argv) as process:
                session = Session(process.pid, place / f"{process.pid}.{name}")
                made = Screen(name, terminal, process, session)
                with inotify.watch(place, Change.ATTRIB, made.look):
                    yield made
        finally:  # one that was killed leaves its socket
            await finish(in_thread(None, remove_dead, place, name))


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """Our end, which never blocks, and that of screen."""
    terminal, device = os.openpty()
    try:
        tty.setraw(device)
        os.set_blocking(terminal, False)
        yield terminal, device
    finally:
        # Open as long as ours: without anybody at that end we would read errors.
        os.close(device)
        os.close(terminal)


def _free(place: Path, name: str) -> None:
    if living := remove_dead(place, name):
        raise HostError(
            f"there is a screen {living[0].path.name} already, which is not ours",
            hint=f"see it by screen -r {living[0].path.name}; once it is gone, ours comes",
        )


async def _possible(
    descriptor: int, add: Callable[..., Any], remove: Callable[[int], object]
) -> None:
    possible = asyncio.Event()
    add(descriptor, possible.set)
    try:
        await possible.wait()
    finally:
        remove(descriptor)

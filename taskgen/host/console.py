"""A guest's console while its QEMU runs: the file that QEMU writes the serial line to."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskgen.errors import HostError
from taskgen.host.foreign_files import open_to_read
from taskgen.host.inotify import Change, Inotify

log = logging.getLogger(__name__)

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # window title
    r"|[ -/]*[0-~])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WINDOW = 64 * 1024

#: Seconds after a look in which nobody looks again: QEMU writes each byte by itself, so a guest
#: that prints much would else keep us busy. Twice as long after each look that finds something.
HOLD_OFF_S = 0.01
LONGEST_HOLD_OFF_S = 0.04

#: Seconds until the kernel is asked again to tell of output, where it could not.
_RETRY_S = 1.0


def clean(data: bytes) -> str:
    """Console output as plain text: no ANSI sequences, no carriage returns, no control codes."""
    return _CONTROL.sub("", _ANSI.sub("", data.decode(errors="replace")))


@dataclass(frozen=True, slots=True)
class Output:
    """Bytes that a guest has printed. Times are of this host's clock, ns since the epoch.

    :ivar start: offset of the first of them in the log.
    :ivar end: offset behind the last.
    :ivar earliest_ns: the first was not written before this.
    :ivar latest_ns: when the last was written; by the kernel's tick, which is a few ms.
    """

    start: int
    end: int
    earliest_ns: int
    latest_ns: int


Listener = Callable[[Output], object]


class Console:
    """What one QEMU has logged, and logs.

    Whoever wants to be told of output shares one watch of the file::

        stop = console.on_output(lambda output: look_at(console.read(output.start, output.end)))

    :param first: the first byte that counts; those before it may be gone.
    """

    def __init__(self, path: Path, inotify: Inotify, *, first: int = 0) -> None:
        self.path = path
        self.first = first
        self._inotify = inotify
        self._listeners: list[Listener] = []
        self._watch: _Watch | None = None

    @property
    def size(self) -> int:
        """Offset behind the last byte that there is; 0 if there is no file any more."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def on_output(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with whatever the guest prints from now on; it must not block.

        It is told within milliseconds of the first byte after a silence, and of what comes on and
        on 25 times a second. What is told once is on the file, and never told again.

        :returns: call it to be told no more.
        :raises HostError: if the file cannot be watched.
        """
        if self._watch is None:
            self._watch = _Watch(self.path, self._inotify, self._tell)
        else:
            self._watch.look()  # what is there already is for the others
        self._listeners.append(listener)

        def stop() -> None:
            with suppress(ValueError):  # it had been told so before
                self._listeners.remove(listener)
            if not self._listeners and self._watch is not None:
                self._watch.close()
                self._watch = None

        return stop

    def look(self) -> None:
        """Tell at once what has been printed up to now."""
        if self._watch is not None:
            self._watch.look()

    def read(self, start: int, end: int) -> bytes:
        """Bytes of the log, as far as there are any.

        :raises OSError: if it cannot be read.
        """
        with open_to_read(self.path) as file:
            return os.pread(file.fileno(), max(0, end - start), start)

    def end(self) -> tuple[int, bytes]:
        """Offset behind the last byte, and the last 64 KiB; nothing if they cannot be read."""
        try:
            with open_to_read(self.path) as file:
                size = os.fstat(file.fileno()).st_size
                start = max(self.first, size - _WINDOW)
                said = os.pread(file.fileno(), max(0, size - start), start)
                return start + len(said), said
        except OSError:
            return 0, b""

    def tail(self, lines: int = 20) -> str:
        """The last lines of the last 64 KiB, as plain text; empty if there are none, or no file any
        more."""
        try:
            with open_to_read(self.path) as file:
                file.seek(max(self.first, os.fstat(file.fileno()).st_size - _WINDOW))
                text = clean(file.read(_WINDOW))
        except FileNotFoundError:
            return ""
        except OSError as error:  # whatever is there, the guest's last words are not
            return f"(the console cannot be read: {error.strerror})"
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])

    async def wait_for(self, pattern: str, timeout_s: float) -> bool:
        """Wait for output that matches a regular expression; whether it came within ``timeout_s``.

        Looks at what is there already, too; a match may be 64 KiB long at most.
        """
        wanted = re.compile(pattern)
        changed = asyncio.Event()
        window = b""
        stop = self.on_output(lambda _: changed.set())
        try:
            with open_to_read(self.path) as file:
                file.seek(self.first)
                async with asyncio.timeout(timeout_s):
                    while True:
                        changed.clear()
                        while chunk := file.read(_WINDOW):
                            window = (window + chunk)[-2 * _WINDOW :]
                            if wanted.search(clean(window)):
                                return True
                        await changed.wait()
        except TimeoutError:
            return False
        finally:
            stop()

    def _tell(self, output: Output) -> None:
        for listener in tuple(self._listeners):
            listener(output)


class _Watch:
    """Tells of what is appended to a file: at once after a silence, else after each hold-off."""

    def __init__(self, path: Path, inotify: Inotify, tell: Listener) -> None:
        self._path = path
        self._inotify = inotify
        self._tell = tell
        self._file = open_to_read(path, buffering=0)  # only its size is looked at
        self._size = os.fstat(self._file.fileno()).st_size
        self._looked_ns = time.time_ns()
        self._timer: asyncio.TimerHandle | None = None
        self._hold_off_s = HOLD_OFF_S
        self._armed = False  # the kernel will tell, or has told just now
        self._forget: Callable[[], None] = lambda: None
        try:
            self._arm()
        except BaseException:
            self._file.close()
            raise

    def look(self) -> bool:
        """Tell what is there; whether there was anything."""
        return self._look(None if self._armed else self._looked_ns)

    def close(self) -> None:
        self._forget()
        if self._timer is not None:
            self._timer.cancel()
        self._file.close()

    def _arm(self) -> None:
        self._forget = self._inotify.once(self._path, Change.MODIFY, self._changed)
        if self._look(self._looked_ns):  # before the watch was there
            self._forget()
            self._hold_off()
        else:
            self._armed = True
            self._hold_off_s = HOLD_OFF_S

    def _changed(self) -> None:
        self._look(None)
        self._armed = False
        self._hold_off()

    def _hold_off(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._hold_off_s, self._look_again)
        self._hold_off_s = min(2 * self._hold_off_s, LONGEST_HOLD_OFF_S)

    def _look_again(self) -> None:
        if self._file.closed:
            return
        if self._look(self._looked_ns):  # it goes on: no need of the kernel to say so
            self._hold_off()
            return
        try:
            self._arm()
        except HostError as error:
            log.warning("%s (tried again)", error)
            self._timer = asyncio.get_running_loop().call_later(_RETRY_S, self._look_again)

    def _look(self, earliest_ns: int | None) -> bool:
        """
        :param earliest_ns: what is found was not written before this; ``None``: just now.
        """
        status = os.fstat(self._file.fileno())
        start, self._size = self._size, status.st_size
        self._looked_ns = time.time_ns()
        if status.st_size <= start:
            return False
        latest_ns = status.st_mtime_ns
        earliest_ns = latest_ns if earliest_ns is None else min(earliest_ns, latest_ns)
        self._tell(Output(start, status.st_size, earliest_ns, latest_ns))
        return True

"""A guest's console: the file that QEMU writes the serial line to."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

from taskgen.host.foreign_files import open_to_read
from taskgen.host.inotify import Change, Inotify

_ANSI = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # window title
    r"|[ -/]*[0-~])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_WINDOW = 64 * 1024


def clean(data: bytes) -> str:
    """Console output as plain text: no ANSI sequences, no carriage returns, no control codes."""
    return _CONTROL.sub("", _ANSI.sub("", data.decode(errors="replace")))


class Console:
    """One machine's console log."""

    def __init__(self, path: Path, inotify: Inotify) -> None:
        self.path = path
        self._inotify = inotify

    def tail(self, lines: int = 20) -> str:
        """The last lines of the last 64 KiB, as plain text; empty if there are none, or no file any
        more."""
        try:
            with open_to_read(self.path) as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _WINDOW))
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
        with (
            self._inotify.watch(self.path, Change.MODIFY, changed.set),
            open_to_read(self.path) as file,
        ):
            try:
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

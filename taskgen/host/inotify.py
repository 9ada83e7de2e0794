"""Changes of files, told by the kernel to the event loop.

Three system calls by ctypes: Python has none of them, and a dependency for sixty lines would have
to be watched longer than they have to.
"""

from __future__ import annotations

import asyncio
import ctypes
import enum
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taskgen.errors import HostError

_libc = ctypes.CDLL(None, use_errno=True)
_EVENT = struct.Struct("iIII")  # inotify(7): wd, mask, cookie, length of the name
_BUFFER = 64 * 1024

# Of masks, linux/inotify.h.
_OVERFLOW = 0x4000
_ADD = 0x20000000
_ONE_SHOT = 0x80000000


class Change(enum.IntFlag):
    """What happened, ``linux/inotify.h``."""

    MODIFY = 0x2
    ATTRIB = 0x4
    CLOSE_WRITE = 0x8
    MOVED_FROM = 0x40
    MOVED_TO = 0x80
    CREATE = 0x100
    DELETE = 0x200


class Inotify:
    """Watches files for one event loop. One for each fleet: the kernel gives a user only 128."""

    def __init__(self) -> None:
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise _error("inotify cannot be used")
        self._callbacks: dict[int, list[Callable[[], object]]] = {}
        self._once: dict[int, Callable[[], object]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._on_readable)

    @contextmanager
    def watch(self, path: Path, changes: Change, callback: Callable[[], object]) -> Iterator[None]:
        """Call ``callback`` after ``path``, a file or a directory, changed, while in the block.

        Several changes may lead to one call. It is called in the event loop and must not block.

        :raises HostError: if the path cannot be watched.
        """
        # _ADD: another watch of the same file keeps what it asked for.
        watch = _libc.inotify_add_watch(
            self._fd, os.fsencode(path), ctypes.c_uint32(changes | _ADD)
        )
        if watch < 0:
            raise _error(f"{path} cannot be watched")
        callbacks = self._callbacks.setdefault(watch, [])
        callbacks.append(callback)
        try:
            yield
        finally:
            callbacks.remove(callback)
            if not callbacks:
                self._callbacks.pop(watch, None)
                if self._fd >= 0:
                    _libc.inotify_rm_watch(self._fd, watch)  # fails if the file is gone: as well

    def once(
        self, path: Path, changes: Change, callback: Callable[[], object]
    ) -> Callable[[], None]:
        """Call ``callback`` after the next change of ``path``, and never again.

        For files that change so often that to be told of each change would be work. No other
        watch may be of the same file.

        :returns: call it to have the watch taken away; harmless once it has told.
        :raises HostError: if the path cannot be watched.
        """
        watch = _libc.inotify_add_watch(
            self._fd, os.fsencode(path), ctypes.c_uint32(changes | _ONE_SHOT)
        )
        if watch < 0:
            raise _error(f"{path} cannot be watched")
        self._once[watch] = callback

        def forget() -> None:
            if self._once.get(watch) is callback:
                del self._once[watch]
                if self._fd >= 0:
                    _libc.inotify_rm_watch(self._fd, watch)

        return forget

    def close(self) -> None:
        """Stop watching."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Inotify:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _on_readable(self) -> None:
        changed: dict[int, None] = {}
        with suppress(BlockingIOError):
            data = os.read(self._fd, _BUFFER)
            offset = 0
            while offset < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, offset)
                offset += _EVENT.size + length
                if mask & _OVERFLOW:  # some are lost, so all may have changed
                    changed.update(dict.fromkeys([*self._callbacks, *self._once]))
                changed[watch] = None
        for watch in changed:
            for callback in tuple(self._callbacks.get(watch, ())):
                callback()
            if only := self._once.pop(watch, None):
                only()


def _error(what: str) -> HostError:
    number = ctypes.get_errno()
    return HostError(
        f"{what}: {os.strerror(number)}",
        hint="raise fs.inotify.max_user_instances or max_user_watches (sysctl)"
        if number in (24, 28)  # EMFILE, ENOSPC
        else None,
    )

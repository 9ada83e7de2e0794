"""Holes at the head of a file: its old part goes, all offsets stay, whoever appends goes on.

One system call by ctypes: Python has ``posix_fallocate`` only, which makes no holes.

A process of ours that is to stay small lives by this module (:mod:`taskgen.host.console_keeper`):
nothing is imported here that takes much memory.
"""

from __future__ import annotations

import ctypes
import errno
import os

TYPE_CHECKING = False  # by mypy it is held to be true; typing's own would be imported
if TYPE_CHECKING:
    from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate64.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

_KEEP_SIZE, _PUNCH_HOLE = 0x1, 0x2  # linux/falloc.h

#: Whole blocks are given back to the file system; this is a multiple of any usual one's.
BLOCK = 4096


def start_of_kept(start: int, end: int, most: int) -> int:
    """From where on a boot's output is kept, which is kept from ``start`` to before ``end`` now.

    :param most: bytes, at most. Of more than that an eighth less is kept: else each byte that comes
        would drop another.
    """
    if end - start <= most:
        return start
    return max(start, (end - most * 7 // 8) // BLOCK * BLOCK)


def punch(path: str | Path, start: int, end: int) -> None:
    """Give the bytes from ``start`` to before ``end`` back; they read as zeros from now on.

    What is a hole already is left alone, and with it the time at which the file was changed.
    Blocks, for as long as the file system needs to write them out first.

    :raises OSError: if that cannot be; nothing is changed then.
    """
    if end <= start:
        return
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if first_data(file, start) >= end // BLOCK * BLOCK:
            return
        if _libc.fallocate64(file, _PUNCH_HOLE | _KEEP_SIZE, start, end - start) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(file)


def first_data(file: int, start: int) -> int:
    """Where the first byte is that is no hole, from ``start`` on; the end, if there is none."""
    try:
        return os.lseek(file, start, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return os.fstat(file).st_size  # there is none behind it


def can_punch(directory: Path) -> bool:
    """Whether the file system of a directory can do it. Makes a small file there to see. Blocks.

    :raises OSError: if that file cannot be written.
    """
    import tempfile  # noqa: PLC0415 - takes more memory than all else here

    with tempfile.NamedTemporaryFile(dir=directory, prefix=".hole-") as file:
        file.write(b"x" * 2 * BLOCK)
        file.flush()
        try:
            punch(file.name, 0, BLOCK)
        except OSError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                return False
            raise
    return True

"""Files in a directory of another user's, who may put anything there at any time.

A machine's directory is the QEMU user's. Should a guest ever break out of its QEMU, it could put a
link where root writes, reads or gives a file away. So nothing there is opened through a link, and
nothing but regular files: a pipe would keep its reader waiting.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from taskgen.host.accounts import Account


def make_empty(path: Path, owner: Account | None) -> None:
    """Make a file that only its owner may use.

    :param owner: ``None``: this user.
    :raises FileExistsError: if there is something of that name, be it a link.
    """
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if owner:
            os.fchown(file, owner.uid, owner.gid)
    finally:
        os.close(file)


def open_to_read(path: Path, *, buffering: int = -1) -> BinaryIO:
    """Open a file, to be closed.

    :param buffering: as that of ``open``.
    :raises FileNotFoundError: if there is none.
    :raises OSError: if it is a link, or no regular file.
    """
    return os.fdopen(_opened(path, os.O_RDONLY), "rb", buffering)


def open_to_append(path: Path) -> int:
    """Open a file, which is made where it is missing; a descriptor, to be closed.

    :raises OSError: if it is a link, or no regular file.
    """
    return _opened(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _opened(path: Path, flags: int) -> int:
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file

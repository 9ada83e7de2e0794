"""Who has a fleet's directory, and making and removing such directories under that protection.

A lock is freed by the kernel when its holder dies, in whatever way: who can take it knows that.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Lock the directory of all fleets, for looking at and changing what is in it.

    It is made where it is missing, and removed again when nothing is in it any more.
    """
    while True:
        if not root.exists():
            root.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                make_directory(root, 0o711)
        lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _still_is(root, lock):  # else it was removed while we waited: again
                yield
                return
        finally:
            with suppress(OSError):  # not empty, or not there
                root.rmdir()
            os.close(lock)


def _still_is(path: Path, fd: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.stat())
    return False


def make_directory(path: Path, mode: int) -> None:
    """Make a directory, with just this mode."""
    path.mkdir()
    path.chmod(mode)  # whatever the umask is: the QEMU user must pass the upper ones


def take_lock(path: Path) -> int | None:
    """Lock a fleet's directory; ``None`` if its engine lives. Close the result to unlock."""
    lock = os.open(path / "fleet.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def lock_machines(path: Path) -> int | None:
    """Lock a directory of machines; ``None``: an engine that lives uses it. Close it to unlock."""
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def remove_directory(path: Path) -> None:
    """Remove a fleet's directory."""
    with exclusive(path.parent):
        shutil.rmtree(path)

"""Files that are there whole, or not at all. Blocking; no asyncio."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(
    path: Path,
    *,
    mode: int = 0o666,
    durable: bool = True,
    replace: bool = True,
    temporary: Path | None = None,
) -> Iterator[IO[bytes]]:
    """A file to write to, which gets its name when the block is left without an error. Until then,
    and after an error, what had the name before has it still.

    :param mode: less what the umask takes away; it has never had more.
    :param durable: whether content and name are on the disk then, so that also a loss of power
        leaves the old or the new. If not, that may leave it torn; a crash of ours does not.
    :param replace: whether the name may be that of another file.
    :param temporary: its name meanwhile, in the same directory; default: with ``.new`` behind it.
        What has that name, as a crash leaves it, is removed.
    :raises FileExistsError: if the name is taken, and must not be replaced.
    :raises OSError: if it cannot be written.
    """
    new = temporary or path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        if replace:
            os.replace(new, path)
        else:
            os.link(new, path)  # unlike a rename, it fails where somebody was quicker
            os.unlink(new)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    if durable:
        _sync(path.parent)


def unused_name(path: Path) -> Path:
    """A hidden name beside a file, as nobody else has it at the same time: for directories that are
    not ours alone."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


def _sync(directory: Path) -> None:
    """Have the names in it on the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

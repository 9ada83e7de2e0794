"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from taskgen.errors import ConfigError


@contextmanager
def whole_file(path: Path, *, replace: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to, which gets its name when the block is left without an error.

    :param replace: whether the name may be that of another file.
    :raises ConfigError: if it cannot be written; what was there before is there still.
    """
    taken = ConfigError(f"{path}: is there already", hint="--force replaces it")
    if not replace and path.exists():
        raise taken
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o666 & ~_umask())
        if replace:
            os.replace(name, path)
        else:
            os.link(name, path)  # unlike a rename, it fails where somebody was quicker
            os.unlink(name)
    except FileExistsError as error:
        os.unlink(name)
        raise taken from error
    except OSError as error:
        os.unlink(name)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

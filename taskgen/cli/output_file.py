"""Files that a command writes for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from taskgen.errors import ConfigError
from taskgen.whole_file import unused_name, whole_file


@contextmanager
def output_file(path: Path, *, replace: bool = False) -> Iterator[IO[bytes]]:
    """A file to write to, which gets its name when the block is left without an error.

    :param replace: whether the name may be that of another file.
    :raises ConfigError: if it cannot be written; what was there before is there still.
    """
    taken = ConfigError(f"{path}: is there already", hint="--force replaces it")
    if not replace and path.exists():
        raise taken
    try:
        with whole_file(path, replace=replace, temporary=unused_name(path)) as file:
            yield file
    except FileExistsError as error:
        raise taken from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error

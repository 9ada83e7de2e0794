"""Files that a command writes for the user."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from taskgen.errors import ConfigError
from taskgen.whole_file import unused_name, whole_file


class OutputPath(click.Path):
    """The path of a file to write.

    ``-`` is standard output as for other commands, never a file of that name: as the command's
    default if it has that, else an error.

    :param default_is_stdout: whether the command writes to standard output without a path; ``-`` is
        ``None`` then.
    """

    def __init__(self, *, default_is_stdout: bool) -> None:
        super().__init__(path_type=Path, dir_okay=False)
        self._default_is_stdout = default_is_stdout

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value) != "-":
            return super().convert(value, param, ctx)
        if not self._default_is_stdout:
            self.fail("must be a file; standard output has other things to tell", param, ctx)
        return None


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

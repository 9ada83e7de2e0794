"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from taskgen.printable import printable


def output() -> Console:
    """For results."""
    return Console()


def messages() -> Console:
    """For progress and remarks."""
    return Console(stderr=True)


class ConsoleHandler(logging.Handler):
    """Log records above a live display, without tearing it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(Text(f"taskgen: {printable(self.format(record))}"), soft_wrap=True)


@contextmanager
def logged_to(console: Console) -> Iterator[None]:
    """Send log records through ``console``, above what is shown live there."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, [ConsoleHandler(console)]
    try:
        yield
    finally:
        root.handlers = before

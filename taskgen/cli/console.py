"""Where the command line writes: results to standard output, everything else to standard error."""

from __future__ import annotations

import logging
import sys

from rich.console import Console
from rich.text import Text


def output() -> Console:
    """For results."""
    return Console()


def messages() -> Console:
    """For progress and remarks."""
    return Console(stderr=True)


def note(text: str) -> None:
    """One line on standard error that begins as all of ours do."""
    print(f"taskgen: {text}", file=sys.stderr)


class ConsoleHandler(logging.Handler):
    """Log records above a live display, without tearing it."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(Text(f"taskgen: {self.format(record)}"), soft_wrap=True)

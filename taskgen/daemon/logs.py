"""What the daemon says on standard error: lines for people, or one JSON object in each line."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from datetime import UTC, datetime
from typing import TextIO

from taskgen.daemon_settings import LogSettings
from taskgen.log_fields import current_fields
from taskgen.printable import printable

#: Libraries whose messages are of no use to a user, unless everything is asked for.
_LIBRARIES = ("asyncio", "qemu", "pyroute2", "uvicorn", "httpx")

#: The most important of :data:`taskgen.daemon_settings.LogSettings.level` first.
_MORE = ("error", "warning", "info", "debug")


#: How a terminal shows the time of day, and levels that are not the usual one.
_FAINT = "2"
_COLOURS = {
    logging.DEBUG: _FAINT,
    logging.WARNING: "33",  # yellow
    logging.ERROR: "31",  # red
    logging.CRITICAL: "1;31",
}


class JsonFormatter(logging.Formatter):
    """One line, whatever is in the message."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, str] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **current_fields(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


class HumanFormatter(logging.Formatter):
    """Time of day, level where it is not the usual one, message.

    What guests and users said in it can neither move the cursor nor pass for a line of its own:
    further lines are indented, and no colour is theirs.

    :param colours: whether time and level have some.
    """

    def __init__(self, *, colours: bool = False) -> None:
        super().__init__("%(message)s")
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        said = re.sub(r"\n(?! )", "\n    ", printable(super().format(record)))
        time = self._coloured(self.formatTime(record, "%H:%M:%S"), _FAINT)
        if record.levelno == logging.INFO:
            return f"{time} {said}"
        colour = _COLOURS.get(record.levelno, _FAINT)
        return f"{time} {self._coloured(f'{record.levelname.lower()}:', colour)} {said}"

    def _coloured(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours else text


def configure_logging(
    settings: LogSettings, *, verbose: int = 0, stream: TextIO | None = None
) -> None:
    """Say what is logged from now on in this way, and in no other.

    :param verbose: so many levels more than the settings say.
    :param stream: default: standard error.
    """
    stream = stream or sys.stderr
    human = settings.format == "human" or (settings.format == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanFormatter(colours=_has_colours(stream)) if human else JsonFormatter())
    wanted = _MORE.index(settings.level) + verbose
    level = getattr(logging, _MORE[min(wanted, len(_MORE) - 1)].upper())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("taskgen").setLevel(level)
    everything = wanted >= len(_MORE)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.DEBUG if everything else logging.ERROR)


def _has_colours(stream: TextIO) -> bool:
    """A terminal that has them, of somebody who wants them (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb"
    return stream.isatty() and not plain

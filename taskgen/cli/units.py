"""Durations, ages, rates, times and sizes as people read them."""

from __future__ import annotations

import re
import time
from datetime import datetime

from taskgen.errors import ConfigError

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float) -> str:
    """Two units at most, as in ``1 h 5 min``; three digits below a minute, as in ``4.25 s``."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0005 or not seconds else "<1 ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    left = round(seconds)
    words: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count or words:
            words.append(f"{count} {unit}" if count else "")
        if len(words) == 2:
            break
    return " ".join(filter(None, words))


def age(at: float | None, now: float | None = None) -> str:
    """How long ago that was; a dash if it has not been.

    :param at: seconds since the epoch.
    """
    if at is None:
        return "-"
    # Clocks are set: what is to come is shown as now.
    return duration(float(int(max(0.0, (time.time() if now is None else now) - at))))


def moment(at: float | None) -> str:
    """Date and time here, with the zone; a dash if there is none.

    :param at: seconds since the epoch.
    """
    if at is None:
        return "-"
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def clock(at: float) -> str:
    """The time of the day here, with milliseconds.

    :param at: seconds since the epoch.
    """
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S.%f")[:-3]


def rate(per_second: float) -> str:
    """Runs per second, minute, hour or day, whichever gives a number from 1 on."""
    for size, unit in ((1, "s"), (60, "min"), (3_600, "h")):
        if per_second * size >= 1:
            return f"{per_second * size:.3g}/{unit}"
    return f"{per_second * 86_400:.2g}/d"


def number(value: int | None) -> str:
    """With thin groups, as in ``1 000 000``; ``?`` if nobody knows."""
    return "?" if value is None else f"{value:,}".replace(",", " ")


def size(count: int) -> str:
    """Bytes, with three digits, as in ``1.25 MB``."""
    value, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}"


def moment_of(text: str, now: float | None = None) -> float:
    """The time that was typed, in seconds since the epoch.

    :param text: as in ``2026-05-01``, ``2026-05-01T12:30`` (here, unless it names a zone), or how
        long ago, as in ``90min`` or ``90m``, ``2h`` or ``3d``.
    :raises ConfigError: if it is none of these.
    """
    if ago := re.fullmatch(r"(\d{1,9}) ?(s|min|m|h|d)", text):
        unit_s = next(seconds for seconds, unit in _UNITS if unit.startswith(ago[2]))
        return (time.time() if now is None else now) - int(ago[1]) * unit_s
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ConfigError(
            f"{text!r}: not a time", hint="as in 2026-05-01T12:30, or 2h for two hours ago"
        ) from error

"""Reading a machine's console from its log, boot after boot, also while it goes on.

Readers read the file, each at their own pace: a slow one delays nobody, and may find that a part
that it had not come to was dropped meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial

from taskgen.errors import ConfigError
from taskgen.host.console_boots import Boot
from taskgen.host.console_lines import BootReader, Line, start_of_last, start_since
from taskgen.host.console_log import ConsoleLog
from taskgen.host.waiting import in_thread

#: Seconds after which the beginning of a line is given that is not through, a prompt for example.
PROMPT_S = 0.2

#: Seconds of silence after which whoever waits is told that there is nothing.
IDLE_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which part of a log.

    :ivar boot: number of a boot; 0 is the newest, -1 the one before; ``None``: the newest, or with
        ``since`` or ``until`` all.
    :ivar lines: so many last ones of what there is, counted before ``until``; ``None``: all.
    :ivar since_ns: lines of this time or later, ns since the epoch.
    :ivar until_ns: no lines that were begun after this time.
    :ivar after: number of a boot, and an offset in its log, as ``Line.end`` has it: all behind
        that. In place of ``boot``, ``lines`` and ``since_ns``.
    :ivar follow: go on with what comes. With ``boot`` to the end of that boot, else for ever.
    """

    boot: int | None = None
    lines: int | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    after: tuple[int, int] | None = None
    follow: bool = False


def chosen(log: ConsoleLog, wanted: Wanted) -> list[Boot]:
    """The boots that are wanted, oldest first.

    :raises ConfigError: if there is no such boot, or what is wanted makes no sense.
    """
    boots = list(log.boots)
    if wanted.after is not None:
        if any(each is not None for each in (wanted.boot, wanted.lines, wanted.since_ns)):
            raise ConfigError(f"{log.name}: after is in place of boot, lines and since")
        return [boot for boot in boots if boot.number >= wanted.after[0]] or boots[-1:]
    if wanted.boot is None:
        timed = wanted.since_ns is not None or wanted.until_ns is not None
        return boots if timed else boots[-1:]
    if wanted.boot > 0:
        found = [boot for boot in boots if boot.number == wanted.boot]
    else:
        found = boots[wanted.boot - 1 :][:1] if wanted.boot > -len(boots) else []
    if not found:
        kept = f"{boots[0].number} to {boots[-1].number}" if boots else "none"
        raise ConfigError(
            f"{log.name}: boot {wanted.boot} is not kept",
            hint=f"kept are {kept}: taskgen machine log {log.name} --boots",
        )
    return found


async def read(log: ConsoleLog, wanted: Wanted) -> AsyncGenerator[list[Line], None]:
    """The lines that are wanted, some at once. While they are waited for, an empty list comes now
    and then.

    :raises ConfigError: if there is no such boot.
    :raises OSError: if the log cannot be read.
    """
    boots = chosen(log, wanted)
    number = at = 0  # boot, and offset behind what was told of it
    for boot, start, end in await in_thread(None, _parts, log, boots, wanted):
        number, at = boot.number, start
        follow = wanted.follow and boot.number == boots[-1].number
        # Else a guest that prints all the time would never let it end.
        until = None if follow else end
        async with aclosing(_boot(log, boot, start, until, follow=follow)) as reading:
            async for lines in reading:
                early = [line for line in lines if not _is_later(line, wanted.until_ns)]
                at = lines[-1].end if lines else at
                yield early
                if len(early) < len(lines):
                    return
    if not wanted.follow or wanted.boot is not None:
        return
    while True:
        news = log.news
        if (following := _following(log, number, at)) is None:
            await _within(news, IDLE_S)
            yield []
            continue
        if following.number != number:
            number, at = following.number, following.first
        end = log.end(following)
        async with aclosing(_boot(log, following, at, None, follow=True)) as reading:
            async for lines in reading:
                at = lines[-1].end if lines else at
                yield lines
        at = max(at, end)


def _following(log: ConsoleLog, number: int, at: int) -> Boot | None:
    """The boot that goes on behind an offset of boot ``number``, or comes after it.

    One that seemed to be over goes on if its QEMU is adopted after we have looked.
    """
    for boot in log.boots:
        if boot.number > number or (boot.number == number and log.end(boot) > at):
            return boot
    return None


async def _boot(
    log: ConsoleLog, boot: Boot, start: int, until: int | None, *, follow: bool
) -> AsyncGenerator[list[Line], None]:
    """Lines of one boot, to its end or, where it is not followed, up to the offset ``until``."""
    try:
        reader = await in_thread(None, BootReader, log, boot, start, until, undo=BootReader.close)
    except FileNotFoundError:  # it was dropped just now
        return
    try:
        while True:
            news, goes_on = log.news, follow and log.is_open(boot)
            # Nobody waits for the end of a line where the boot is not followed.
            lines = await in_thread(None, partial(reader.read, pieces=not goes_on))
            if not lines and goes_on and not await _within(news, PROMPT_S):
                lines = await in_thread(None, partial(reader.read, pieces=True))
                if not lines:
                    await _within(news, IDLE_S)
            if lines or goes_on:
                yield lines
            else:
                return
    finally:
        reader.close()


def _parts(log: ConsoleLog, boots: list[Boot], wanted: Wanted) -> list[tuple[Boot, int, int]]:
    """From where to where to read in which boots, oldest first. Blocks."""
    found: list[tuple[Boot, int, int]] = []
    left = wanted.lines
    for boot in reversed(boots):
        if left == 0 and found:
            break
        start: int | None = boot.first
        end = log.end(boot)
        if wanted.after is not None and boot.number == wanted.after[0]:
            start = min(max(boot.first, wanted.after[1]), end)
        with suppress(FileNotFoundError):  # it was dropped just now
            if wanted.since_ns is not None:
                start = start_since(log, boot, wanted.since_ns)
            if left is not None and start is not None:
                start, lines = start_of_last(log, boot, left, start, end)
                left -= lines
        if start is not None:
            found.append((boot, start, end))
        elif not found and boot is boots[-1]:  # it may go on
            found.append((boot, end, end))
    return found[::-1]


def _is_later(line: Line, until_ns: int | None) -> bool:
    return until_ns is not None and (line.earliest_ns or 0) > until_ns


async def _within(news: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await news.wait()
    except TimeoutError:
        return False
    return True

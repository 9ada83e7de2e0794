"""How far a job is, live: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from taskgen.cli.units import duration, rate
from taskgen.interfaces import Counts

#: Where nobody watches live, a line after so many seconds, if anything has changed.
LINE_EVERY_S = 5.0

#: How a fleet is, in a few words, such as ``2 machines ready``.
DescribeFleet = Callable[[], str]


class _State(ProgressColumn):
    def __init__(self, describe: Callable[[], str]) -> None:
        super().__init__()
        self._describe = describe

    def render(self, task: Task) -> Text:
        return Text(self._describe())


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(rate(task.speed) if task.speed else "")


def in_words(counts: Counts) -> str:
    """Runs done, running and failed."""
    words = f"{counts.done} done, {counts.running} running, {counts.bad} failed"
    repeated = counts.failed_attempts - counts.bad
    return f"{words}, {repeated} repeated" if repeated > 0 else words


@asynccontextmanager
async def shown(
    console: Console, counts: Callable[[], Counts], fleet: DescribeFleet
) -> AsyncIterator[None]:
    """Show the progress while the block runs.

    :param counts: how far the queue is.
    """
    show = _bar if console.is_terminal else _lines
    async with show(console, counts, fleet):
        yield


@asynccontextmanager
async def _bar(
    console: Console, counts: Callable[[], Counts], fleet: DescribeFleet
) -> AsyncIterator[None]:
    class Live(Progress):
        # Asked anew at each of rich's refreshes: the bar is a view, nothing pushes into it.
        def get_renderables(self):  # type: ignore[no-untyped-def]
            now = counts()
            for bar in self.task_ids:  # none yet while rich sets itself up
                self.update(bar, completed=now.done + now.bad, total=now.total)
            return super().get_renderables()

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _State(lambda: in_words(counts())),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("so far,"),
        TimeRemainingColumn(),
        TextColumn("left;"),
        _State(fleet),
    )
    progress = Live(*columns, console=console)
    before = counts()  # what has ended already says nothing of how fast it goes
    progress.add_task("runs", total=before.total, completed=before.done + before.bad)
    with progress:
        yield


@asynccontextmanager
async def _lines(
    console: Console, counts: Callable[[], Counts], fleet: DescribeFleet
) -> AsyncIterator[None]:
    began_s, before = time.monotonic(), counts()

    def line() -> str:
        now = counts()
        return f"{in_words(now)} of {now.total or '?'}; {_pace(before, now, began_s)}{fleet()}"

    async def report() -> None:
        last = counts()
        while True:
            await asyncio.sleep(LINE_EVERY_S)
            if (now := counts()) != last:
                console.print(line(), highlight=False)
            last = now

    reporter = asyncio.create_task(report())
    try:
        yield
    finally:
        reporter.cancel()
        with suppress(asyncio.CancelledError):
            await reporter
        console.print(line(), highlight=False)


def _pace(before: Counts, now: Counts, began_s: float) -> str:
    """How fast it goes, and how long it will take.

    :param before: what had ended before we looked, and says nothing of how fast it goes.
    """
    ended = now.done + now.bad - before.done - before.bad
    if not now.left or ended <= 0:
        return ""
    per_second = ended / max(time.monotonic() - began_s, 0.001)
    return f"{rate(per_second)}, about {duration(now.left / per_second)} left; "

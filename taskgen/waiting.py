"""Waiting for one of several things."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any


async def first_of(*awaitables: Coroutine[Any, Any, object]) -> None:
    """Return once any of them is through; the others are cancelled.

    What the first one raised is raised here.
    """
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()


@asynccontextmanager
async def cut_short(
    on_event: Callable[[Callable[[object], object]], Callable[[], object]],
) -> AsyncIterator[None]:
    """Do what is in the block until an event happens, or to its end; no task waits for the event.

    :param on_event: has the event call something with one argument, and returns what takes that
        away again.
    """
    loop = asyncio.get_running_loop()
    inside = True

    def happened(_: object) -> None:
        if inside:
            limit.reschedule(loop.time())

    stop = on_event(happened)
    try:
        async with asyncio.timeout(None) as limit:
            try:
                yield
            finally:
                inside = False
    except TimeoutError:
        if not limit.expired():
            raise
    finally:
        stop()


class SharedWait:
    """One task that waits, for any number of those who want to be told; none while nobody does.

    :param wait: what it waits for, each time anew.
    """

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, object]]) -> None:
        self._wait = wait
        self._task: asyncio.Task[object] | None = None
        self._told: list[Callable[[object], object]] = []  # by this task

    def on_event(self, callback: Callable[[object], object]) -> Callable[[], object]:
        """Call ``callback`` with the task that has waited, once it is through.

        :returns: call that to have it called no more.
        """
        if self._task is None or self._task.done():
            self._task, self._told = asyncio.create_task(self._wait()), []
        task, told = self._task, self._told
        task.add_done_callback(callback)
        told.append(callback)

        def stop() -> None:
            task.remove_done_callback(callback)
            told.remove(callback)
            if not told:
                task.cancel()

        return stop


def innermost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception that is no group itself."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

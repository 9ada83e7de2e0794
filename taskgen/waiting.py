"""Waiting for one of several things."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
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


def cut_short(
    on_event: Callable[[Callable[[object], object]], Callable[[], object]],
) -> AbstractAsyncContextManager[None]:
    """Do what is in the block until an event happens, or to its end; no task waits for the event.

    :param on_event: has the event call something with one argument, and returns what takes that
        away again.
    """
    return _CutShort(on_event)


class _CutShort(AbstractAsyncContextManager[None]):  # a generator would take twice the memory
    def __init__(
        self, on_event: Callable[[Callable[[object], object]], Callable[[], object]]
    ) -> None:
        self._on_event = on_event
        self._limit = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._limit.__aenter__()
        self._inside = True
        self._stop = self._on_event(self._happened)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        self._inside = False
        self._stop()
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError:  # by the event
            return True
        return False

    def _happened(self, _: object) -> None:
        if self._inside:
            self._limit.reschedule(asyncio.get_running_loop().time())


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

"""Waiting that cancellation cannot cut short, for what must not be left half done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Awaitable[T]) -> T:
    """Await ``work`` to its end even when cancelled meanwhile; the cancellation is raised then.

    For clean-up, whose steps have limits of their own.
    """
    future = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        future.exception()  # looked at, so that it is not reported as lost
        raise cancelled
    return future.result()


async def in_thread(
    executor: Executor | None,
    function: Callable[..., T],
    *args: Any,
    undo: Callable[[T], object] | None = None,
) -> T:
    """Run a short blocking ``function`` in a thread of ``executor``, or of the loop's own.

    A thread cannot be interrupted: when cancelled, this waits for the function to end, gives its
    result to ``undo`` (in the same thread), and only then lets the cancellation pass, so that
    nothing is lost that the function acquired.
    """
    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(executor, function, *args)
    try:
        return await finish(future)
    except asyncio.CancelledError:
        if undo and not future.cancelled() and future.exception() is None:
            await finish(loop.run_in_executor(executor, undo, future.result()))
        raise


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Do something else as well while in the block; it has ended when that is left.

    What it raised by then is raised there.
    """
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await finish(asyncio.wait([task]))
    if not task.cancelled():
        task.result()

"""Waiting for one of several things."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
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


def innermost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception that is no group itself."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error

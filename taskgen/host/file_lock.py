"""A lock among processes, for the event loop."""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from taskgen.errors import HostError


@asynccontextmanager
async def file_lock(path: Path, *, timeout_s: float) -> AsyncIterator[None]:
    """Hold the lock ``path`` while in the block. It is freed by the kernel if we die.

    :raises HostError: if somebody else holds it longer than ``timeout_s``.
    """
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        await _wait(path, lock, timeout_s)
    try:
        yield
    finally:
        os.close(lock)


async def _wait(path: Path, lock: int, timeout_s: float) -> None:
    """Wait for the lock in a thread. Nothing can wake one up: given up on, it closes the file."""
    loop = asyncio.get_running_loop()
    taken: asyncio.Future[None] = loop.create_future()
    guard = threading.Lock()
    held = given_up = False

    def resolve() -> None:
        if not taken.done():
            taken.set_result(None)

    def take() -> None:
        nonlocal held
        fcntl.flock(lock, fcntl.LOCK_EX)
        with guard:
            if given_up:
                os.close(lock)
                return
            held = True
            loop.call_soon_threadsafe(resolve)

    threading.Thread(target=take, name=f"lock {path}", daemon=True).start()
    try:
        async with asyncio.timeout(timeout_s):
            await taken
    except BaseException as error:
        with guard:
            given_up = True
            if held:
                os.close(lock)
        if isinstance(error, TimeoutError):
            raise HostError(f"{path}: held by another process for {timeout_s:g} s") from error
        raise

"""A backend in a thread of its own, with an event loop that callers need not know of."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from taskgen.backend import Backend
from taskgen.errors import StateError

log = logging.getLogger(__name__)

T = TypeVar("T")


class EngineThread:
    """Runs a backend from the constructor until :meth:`close`.

    :param make: makes it; leaving the context ends it.
    :raises TaskgenError: if it cannot be made; nothing is left then.
    """

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Backend]]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._backend: Backend | None = None
        self._closing: asyncio.Event | None = None
        self._up: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._work, name="taskgen engine", daemon=True)
        self._thread.start()
        # A program that ends without closing must leave nothing either. atexit comes too late: the
        # executors that the engine needs for cleaning up are gone by then.
        threading._register_atexit(self._close_at_exit)  # type: ignore[attr-defined]
        self._up.result()

    @property
    def closed(self) -> bool:
        return not self._thread.is_alive()

    def call(
        self, function: Callable[[Backend], Coroutine[Any, Any, T]], timeout: float | None = None
    ) -> T:
        """Call ``function`` with the backend, in its thread, and wait for the result.

        :param timeout: seconds; ``None``: for as long as it takes.
        :raises TimeoutError: if there is no result by then; the call is cancelled.
        :raises StateError: if the engine has been closed.
        """
        if threading.current_thread() is self._thread:
            raise StateError(
                "a blocking call from the engine's own thread", state="inside", required="outside"
            )
        future = self._submit(function)
        try:
            return future.result(timeout)
        except concurrent.futures.TimeoutError:
            future.cancel()
            raise TimeoutError(f"no end within {timeout:g} s") from None
        except concurrent.futures.CancelledError:
            raise self._is_closed() from None
        except KeyboardInterrupt:
            future.cancel()
            raise

    def begin(self, function: Callable[[Backend], Coroutine[Any, Any, object]]) -> None:
        """Call ``function`` with the backend, in its thread, and do not wait for it.

        :raises StateError: if the engine has been closed.
        """

        def report(future: concurrent.futures.Future[object]) -> None:
            if not future.cancelled() and (error := future.exception()):
                log.error("a call that nobody waits for has failed: %s", error)

        self._submit(function).add_done_callback(report)

    def close(self) -> None:
        """Begin to stop everything; does not wait."""
        loop, closing = self._loop, self._closing
        if loop and closing and self._thread.is_alive():
            try:
                loop.call_soon_threadsafe(closing.set)
            except RuntimeError:
                return  # the loop was closed meanwhile

    def join(self, timeout: float | None = None) -> None:
        """Wait until nothing is left.

        :raises TimeoutError: if something is, after ``timeout`` seconds.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"not closed within {timeout:g} s")

    def _submit(
        self, function: Callable[[Backend], Coroutine[Any, Any, T]]
    ) -> concurrent.futures.Future[T]:
        loop, made = self._loop, self._backend
        if not (loop and made and self._thread.is_alive()):
            raise self._is_closed()
        work = function(made)
        try:
            return asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:
            work.close()
            raise self._is_closed() from None

    @staticmethod
    def _is_closed() -> StateError:
        return StateError("the distributor cannot be used", state="closed", required="open")

    def _close_at_exit(self) -> None:
        self.close()
        self._thread.join()

    def _work(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            if self._up.done():
                raise
            self._up.set_exception(error)
        finally:
            self._backend = None

    async def _main(self) -> None:
        self._closing = asyncio.Event()
        async with self._make() as made:
            self._loop, self._backend = asyncio.get_running_loop(), made
            self._up.set_result(None)
            await self._closing.wait()
            self._backend = None  # from now on calls are refused

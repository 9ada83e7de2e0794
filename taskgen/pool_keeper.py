"""Keeps the pools of a service at work, and deals with one that gives up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

from taskgen.errors import QueueError, TaskgenError
from taskgen.host.waiting import finish
from taskgen.problems import Problems

log = logging.getLogger(__name__)

#: Seconds after which a pool that gave up is tried again: the first time, and at most.
FIRST_REST_S = 15.0
LONGEST_REST_S = 600.0


class KeptPool(Protocol):
    """A pool, as far as its keeper deals with it."""

    async def run(self) -> None:
        """Keep targets at work until there is nothing left to do.

        :raises TaskgenError: if that has no prospect.
        """


class PoolKeeper:
    """Runs pools, each in a task of its own.

    :param pools: by what people call them.
    :param problems: told of a pool that gave up, under its name.
    :param lasting: whether such a pool is tried again by itself, after a growing rest. If not, the
        work has ended, and :meth:`retry` begins it again.
    :ivar failure: what ended the work; ``None``: nothing.
    :ivar failed: set as long as there is such a thing.
    """

    def __init__(
        self, pools: Mapping[str, KeptPool], problems: Problems, *, lasting: bool = False
    ) -> None:
        self.failure: TaskgenError | None = None
        self.failed = asyncio.Event()
        self._pools = dict(pools)
        self._problems = problems
        self._lasting = lasting
        self._works: dict[str, asyncio.Task[None]] = {}
        self._again: dict[str, asyncio.Event] = {}
        self._rests: dict[str, float] = {}

    def begin(self) -> None:
        """Let all pools work that do not."""
        for name, pool in self._pools.items():
            if name not in self._works or self._works[name].done():
                self._works[name] = asyncio.create_task(self._keep(name, pool), name=name)

    def retry(self) -> None:
        """Try again now what has given up."""
        if self.failure and not isinstance(self.failure, QueueError):
            self.failure = None
            self.failed.clear()
            self.begin()
        for again in self._again.values():
            again.set()

    def well(self, name: str) -> None:
        """A pool has a target that works: what was wrong with it is over."""
        self._rests.pop(name, None)
        self._problems.clear(name)

    async def ended(self) -> None:
        """Wait until no pool works any more."""
        if self._works:
            await asyncio.wait(self._works.values())

    async def end(self) -> None:
        """Stop all now; what they were doing goes back to the queue."""
        for work in self._works.values():
            work.cancel()
        await finish(self.ended())
        for work in self._works.values():
            if not work.cancelled():
                work.result()

    async def _keep(self, name: str, pool: KeptPool) -> None:
        while True:
            try:
                await pool.run()
                return
            except TaskgenError as error:
                # Without a queue nothing of this process is of use any more.
                if not self._lasting or isinstance(error, QueueError):
                    self._end_of_work(error)
                    return
                await self._rest(name, error)
            except Exception as error:
                log.exception("%s: a bug of ours", name)
                self._end_of_work(TaskgenError(f"{name}: a bug of ours: {error!r}"))
                return

    async def _rest(self, name: str, error: TaskgenError) -> None:
        rest_s = self._rests.get(name, FIRST_REST_S)
        self._rests[name] = min(2 * rest_s, LONGEST_REST_S)
        self._problems.report(
            name,
            f"{name} cannot work: {error.message}",
            hint=error.hint or "see the log; it is tried again by itself, more and more rarely",
            fatal=len(self._pools) == 1,
        )
        again = self._again[name] = asyncio.Event()
        try:
            async with asyncio.timeout(rest_s):
                await again.wait()
        except TimeoutError:
            pass
        finally:
            del self._again[name]

    def _end_of_work(self, error: TaskgenError) -> None:
        log.error("the work has ended: %s", error)
        self.failure = error
        self.failed.set()

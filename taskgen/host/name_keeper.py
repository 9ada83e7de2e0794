"""Keeps the name of the fleet's namespace, by which the next daemon finds it.

The namespace itself lives as long as a thread or a process is in it. Without its name nobody who
comes later can enter it, and machines in it could never be reached again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskgen.errors import HostError
from taskgen.host import netns
from taskgen.host.inotify import Change, Inotify
from taskgen.host.netns import Namespace
from taskgen.host.waiting import finish
from taskgen.problems import Problems

#: Of what this reports to :class:`~taskgen.problems.Problems`.
PROBLEM = "namespace"


@asynccontextmanager
async def kept_name(
    namespace: Namespace, inotify: Inotify, problems: Problems
) -> AsyncIterator[None]:
    """Give the namespace its name again when somebody takes that away, while in the block."""
    if namespace.is_host:
        yield
        return
    changed = asyncio.Event()
    with inotify.watch(netns.DIRECTORY, Change.DELETE | Change.MOVED_FROM, changed.set):
        keeper = asyncio.create_task(_keep(namespace, changed, problems), name="namespace keeper")
        try:
            yield
        finally:
            keeper.cancel()
            await finish(asyncio.wait([keeper]))


async def _keep(namespace: Namespace, changed: asyncio.Event, problems: Problems) -> None:
    while True:
        await changed.wait()
        changed.clear()
        if netns.exists(namespace.name):
            problems.clear(PROBLEM)
            continue
        problems.report(PROBLEM, f"the network namespace {namespace.name} has lost its name")
        try:
            await namespace.run(netns.publish, namespace.name)
        except HostError as error:
            problems.report(
                PROBLEM,
                f"the network namespace has lost its name, and gets it not again: {error}",
                hint="machines work on, but the next daemon cannot go on with them",
            )
        else:
            problems.clear(PROBLEM)

"""What the routes work with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from taskgen.api.metrics import Metrics
from taskgen.binary_store import BinaryStore
from taskgen.bulletin import Bulletin
from taskgen.problems import Problems
from taskgen.service import Service
from taskgen.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for.

    :ivar body_bytes: size of a body, other than a binary's.
    :ivar binary_bytes: size of a task binary.
    :ivar console_bytes: what a viewer's message to a console may hold.
    """

    body_bytes: int = 16 * 2**20
    binary_bytes: int = 64 * 2**20
    console_bytes: int = 64 * 2**10


@dataclass(kw_only=True)
class Context:
    """Everything that the routes use. Belongs to one event loop.

    :ivar binaries: uploaded task binaries.
    :ivar settings: tells those that hold now.
    :ivar started_at: seconds since the epoch.
    :ivar closing: set when the server is about to end; ends event streams and consoles.
    """

    service: Service
    bulletin: Bulletin
    binaries: BinaryStore
    settings: Callable[[], Settings] = Settings
    metrics: Metrics = field(default_factory=Metrics)
    limits: Limits = field(default_factory=Limits)
    started_at: float = field(default_factory=time.time)
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def problems(self) -> Problems:
        """What is not as it should be."""
        return self.service.problems

    def close(self) -> None:
        """End what would not end by itself."""
        self.closing.set()
        self.bulletin.close()


async def _context(connection: HTTPConnection) -> Context:
    found = connection.app.state.context
    assert isinstance(found, Context)
    return found


#: For the parameters of a route.
Here = Annotated[Context, Depends(_context)]

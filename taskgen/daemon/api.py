"""Puts the API in front of a running daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskgen.daemon.daemon import Daemon


@asynccontextmanager
async def api(daemon: Daemon) -> AsyncIterator[None]:
    """The API of ``daemon`` while in the block: it answers when this is entered."""
    yield

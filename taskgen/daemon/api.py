"""Puts the API in front of a running daemon."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from taskgen.api import (
    Context,
    Endpoint,
    Limits,
    connect_sources,
    make_app,
    serve,
    tcp_socket,
    unix_socket,
)
from taskgen.bulletin import Bulletin
from taskgen.host.fleet_locks import exclusive
from taskgen.host.records import run_root
from taskgen.host.waiting import in_thread

if TYPE_CHECKING:
    from taskgen.daemon.daemon import Daemon

log = logging.getLogger(__name__)


@asynccontextmanager
async def api(daemon: Daemon) -> AsyncIterator[None]:
    """The API of ``daemon`` while in the block: it answers when this is entered.

    :raises HostError: if it cannot listen.
    :raises ConfigError: if its token cannot be used.
    """
    context = _context(daemon)
    settings = daemon.settings.api
    root = run_root()
    path = settings.socket or root / "taskgen.sock"
    async with AsyncExitStack() as stack:
        stack.callback(_tidy, root)
        with exclusive(root):  # which others make and remove
            endpoints = [Endpoint(unix_socket(path, group=settings.group), path=path)]
        stack.callback(endpoints[0].close)
        if settings.tcp is not None:
            token = await in_thread(None, daemon.state.token, settings.token_file)
            endpoints.append(Endpoint(tcp_socket(*settings.tcp), token=token))
            stack.callback(endpoints[1].close)
            log.info("the API listens on %s, for those who have the token", settings.listen)
        connect_sources(context)
        await stack.enter_async_context(serve(make_app(context), endpoints))
        yield


def _tidy(root: Path) -> None:
    """Remove the directory of all fleets if there is nothing in it any more."""
    with exclusive(root):
        pass


def _context(daemon: Daemon) -> Context:
    work, settings, store = daemon.service, daemon.settings.api, daemon.binaries
    return Context(
        service=work,
        bulletin=Bulletin(sequence=lambda: work.queue.last_attempt),
        binaries=store,
        settings=lambda: daemon.settings,
        limits=Limits(body_bytes=int(settings.body_megabytes * 1e6), binary_bytes=store.max_bytes),
        started_at=daemon.started_at,
    )

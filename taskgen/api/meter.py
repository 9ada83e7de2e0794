"""Counts the requests."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from taskgen.api.metrics import Metrics

#: Streams last as long as somebody listens: how long says nothing.
_STREAMS = ("stream_events", "export_results")


class Meter:
    """An app whose requests are counted, and their time taken."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            # The path itself would not do: strangers can ask for any number of paths.
            operation = getattr(scope.get("route"), "name", "none")
            self._metrics.requests.labels(operation, str(status)).inc()
            if operation not in _STREAMS:
                self._metrics.request_s.observe(time.perf_counter() - began)

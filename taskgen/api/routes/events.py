"""Everything that changes, as it changes: server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query
from fastapi.responses import StreamingResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from taskgen.api.body import StrictRouter
from taskgen.api.context import Here
from taskgen.api.problems import described
from taskgen.bulletin import Notice, Subscription
from taskgen.resources import EventKind
from taskgen.waiting import first_of

router = StrictRouter(tags=["events"])

#: Seconds of silence after which the stream says that it is still there.
KEEP_ALIVE_S = 15.0

#: A proxy must neither keep nor gather it.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

_TEXT = {"type": "string"}
_EVENT = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "event": {"enum": list(map(str, EventKind))},
        "data": {**_TEXT, "contentMediaType": "application/json"},
    },
}


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses=described(
        422,
        also={
            200: {
                "description": "One event after the other; each `data:` is a StreamEvent.",
                "content": {"text/event-stream": {"schema": _EVENT}},
            }
        },
    ),
)
async def stream_events(
    here: Here,
    kind: Annotated[
        list[EventKind] | None, Query(description="Only these kinds, and resync.")
    ] = None,
    job: Annotated[
        str | None, Query(max_length=256, description="Only what is told of this job, and resync.")
    ] = None,
    run_events: Annotated[
        bool, Query(description="Also single events of runs; these are many.")
    ] = False,
    last_event_id: Annotated[
        str | None, Header(max_length=256, description="Go on behind this event.")
    ] = None,
) -> Response:
    """Tell everything that changes from now on, or from behind the last event that you know.

    If something was missed since, a `resync` comes first: ask for what you need again. Results are
    never missed: `GET /v1/attempts` has them all.
    """
    return _Stream(here.bulletin.subscribe(last_event_id, kind, job, run_events))


class _Stream(Response):
    """Sends events until the client goes, or there will be none any more."""

    media_type = "text/event-stream"

    def __init__(self, subscription: Subscription) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._subscription:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await first_of(self._send_all(send), gone(receive))

    async def _send_all(self, send: Send) -> None:
        async for chunk in _chunks(self._subscription):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _chunks(subscription: Subscription) -> AsyncIterator[bytes]:
    yield b": events of taskgen\n\n"  # so that the client knows that it is connected
    while True:
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                batch = await subscription.batch()
        except TimeoutError:
            yield b": still there\n\n"
            continue
        if not batch:
            return
        yield "".join(map(_frame, batch)).encode()


def _frame(notice: Notice) -> str:
    return f"id: {notice.id}\nevent: {notice.kind}\ndata: {notice.json}\n\n"


async def gone(receive: Receive) -> None:
    """Wait until the client is gone."""
    while (await receive())["type"] != "http.disconnect":
        pass

"""What machines said on their consoles, also those that are gone."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated

from fastapi import Query
from fastapi.responses import StreamingResponse
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from taskgen.api import convert, look
from taskgen.api.body import StrictRouter
from taskgen.api.context import Here
from taskgen.api.log_frames import Frames, JsonLines, TextLines
from taskgen.api.problems import described
from taskgen.api.routes.events import gone
from taskgen.host.console_follow import Wanted, chosen, read
from taskgen.host.console_log import ConsoleLog
from taskgen.host.waiting import in_thread
from taskgen.resources import ConsoleBoot, Page
from taskgen.waiting import first_of

router = StrictRouter(prefix="/machines", tags=["machines"])

#: What is given where nobody says how much.
LINES = 100


class LogFormat(StrEnum):
    """How lines are told."""

    TEXT = "text"
    JSONL = "jsonl"


_CONTENT = {each.media_type: {"schema": {"type": "string"}} for each in (TextLines, JsonLines)}
_Time = Annotated[float | None, Query(ge=0, le=1e10, description="Seconds since the epoch.")]


@router.get("/{name}/boots", responses=described(404))
async def list_boots(here: Here, name: str) -> Page[ConsoleBoot]:
    """The boots of a machine of which something is kept, oldest first."""
    found = look.console_log(here, name)
    return Page(items=await in_thread(None, convert.console_boots, found))


@router.get(
    "/{name}/log",
    response_class=StreamingResponse,
    responses=described(404, 422, also={200: {"content": _CONTENT}}),
)
async def machine_log(
    here: Here,
    name: str,
    *,
    lines: Annotated[
        int | None,
        Query(
            ge=0, le=10**9, description="So many last ones. Default: 100; all with since, until."
        ),
    ] = None,
    boot: Annotated[
        int | None,
        Query(
            ge=-(10**9),
            le=10**9,
            description="Number of a boot; 0: the newest, -1: the one before. Default: the newest; "
            "all with since or until.",
        ),
    ] = None,
    since: _Time = None,
    until: _Time = None,
    after: Annotated[
        str | None,
        Query(
            pattern=r"^\d{1,9}:\d{1,18}$",
            description="BOOT:END of a line: go on behind it. In place of lines, boot and since.",
        ),
    ] = None,
    follow: Annotated[
        bool,
        Query(description="Go on with what comes: of that boot, or of this and all later ones."),
    ] = False,
    timestamps: Annotated[
        bool, Query(description="In text, the time before each line; < where it may be earlier.")
    ] = False,
    format: Annotated[
        LogFormat, Query(description="text, or jsonl: a ConsoleLine in each line.")
    ] = LogFormat.TEXT,
) -> Response:
    """What its console has said, without colours and control characters. Who reads slowly delays
    nobody, and is told what was dropped meanwhile."""
    found = look.console_log(here, name)
    if lines is None and since is None and until is None and after is None:
        lines = LINES
    wanted = Wanted(
        boot=boot,
        lines=lines,
        since_ns=_ns(since),
        until_ns=_ns(until),
        after=_position(after),
        follow=follow,
    )
    chosen(found, wanted)  # an error can be told now, but not in the midst of the answer
    json = format is LogFormat.JSONL
    frames: Frames = JsonLines() if json else TextLines(timestamps=timestamps)
    return _Log(here.closing, found, wanted, frames)


def _position(after: str | None) -> tuple[int, int] | None:
    if after is None:
        return None
    boot, _, end = after.partition(":")
    return int(boot), int(end)


def _ns(at: float | None) -> int | None:
    return None if at is None else int(at * 1e9)


class _Log(Response):
    """Sends lines until there are no more, the client goes, or the daemon ends."""

    def __init__(
        self, closing: asyncio.Event, found: ConsoleLog, wanted: Wanted, frames: Frames
    ) -> None:
        super().__init__(media_type=frames.media_type)
        del self.headers["content-length"]
        self._closing = closing
        self._found = found
        self._wanted = wanted
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await first_of(self._send_all(send), gone(receive), self._closing.wait())
        await send({"type": "http.response.body", "body": b""})

    async def _send_all(self, send: Send) -> None:
        async with aclosing(read(self._found, self._wanted)) as reading:
            async for lines in reading:
                body = self._frames.of(lines)
                await send({"type": "http.response.body", "body": body, "more_body": True})

"""A machine's console: what it prints, and what people type, over a WebSocket."""

from __future__ import annotations

import logging

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect

from taskgen.api import look
from taskgen.api.body import StrictRouter
from taskgen.api.context import Context, Here
from taskgen.api.peer import who
from taskgen.errors import MachineError
from taskgen.host.console_hub import KEPT, RECENT, ConsoleHub
from taskgen.host.console_viewer import Viewer
from taskgen.waiting import first_of

log = logging.getLogger(__name__)

router = StrictRouter()

#: WebSocket close codes (RFC 6455, section 7.4.1).
_NORMAL, _TOO_BIG, _TRY_LATER = 1000, 1009, 1013


@router.websocket("/machines/{name}/console")
async def console(here: Here, websocket: WebSocket, name: str, recent: bool = False) -> None:
    """Binary messages both ways. A viewer who reads too slowly misses some, and is told so in the
    midst of it; the machine never waits. With ``recent``, the last lines come first. Where another
    QEMU takes the place of the machine's, it goes on with that."""
    hub: ConsoleHub | None = look.console_hub(here, name)
    assert hub is not None, "there is one"
    user = await who(websocket)
    viewer = hub.attach(user, recent=RECENT if recent else 0)
    try:
        await websocket.accept()
        log.info("%s: %s looks at its console", name, user)
        await _use(here, websocket, viewer)
        while hub.closed and not here.closing.is_set():
            if (hub := await hub.next()) is None:
                break
            viewer.close()
            viewer = hub.attach(user, recent=KEPT)  # all that its guest has said so far
            await _use(here, websocket, viewer)
    finally:
        viewer.close()
        log.info("%s: %s looks away from its console", name, user)
    await _end(websocket, _NORMAL, "the daemon ends" if here.closing.is_set() else "it has ended")


async def _use(here: Context, websocket: WebSocket, viewer: Viewer) -> None:
    """Show and type, until the QEMU ends, the user leaves, or the daemon ends."""
    await first_of(_show(websocket, viewer), _type(here, websocket, viewer), here.closing.wait())


async def _show(websocket: WebSocket, viewer: Viewer) -> None:
    try:
        async for piece in viewer:
            await websocket.send_bytes(piece)
    except (WebSocketDisconnect, OSError):
        return


async def _type(context: Context, websocket: WebSocket, viewer: Viewer) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        typed = message.get("bytes") or (message.get("text") or "").encode("utf-8", "replace")
        if len(typed) > context.limits.console_bytes:
            await _end(websocket, _TOO_BIG, f"at most {context.limits.console_bytes} bytes")
            return
        try:
            await viewer.write(typed)
        except MachineError as error:
            await _end(websocket, _TRY_LATER, error.message)
            return


async def _end(websocket: WebSocket, code: int, reason: str) -> None:
    try:
        # A close frame has room for 123 bytes.
        await websocket.close(code, reason.encode()[:123].decode(errors="ignore"))
    except (WebSocketDisconnect, OSError, RuntimeError) as error:
        log.debug("the viewer was gone already: %s", error)

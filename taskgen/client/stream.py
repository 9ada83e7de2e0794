"""The event stream without I/O: what is asked for, and what a line of it says."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import httpx
from httpx_sse import ServerSentEvent
from pydantic import ValidationError

from taskgen.client.call import BUSY, Call, error_of, nothing
from taskgen.errors import DaemonError, DaemonUnreachableError, TaskgenError
from taskgen.resources import EventKind, StreamEvent

log = logging.getLogger(__name__)

#: The daemon says something at least every 15 s, if only that it is there.
SILENT_S = 60.0

#: Seconds between tries to reach the daemon again, from the first to the longest.
FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 5.0


def refusal(response: httpx.Response) -> TaskgenError:
    """Why the stream is not to be had, as the daemon says it. What may pass by itself is worth
    another try, as it is where nobody answers."""
    error = error_of(response)
    if response.status_code not in BUSY:
        return error
    hint = error.hint or "it may pass: try again"
    return DaemonUnreachableError(error.message, hint=hint, status=response.status_code)


class Position:
    """Where in the stream we are, over all its connections.

    :param after: id of the event to go on behind; ``None``: from now on.
    :ivar kinds: what is listened to; may be changed between two connections.
    :ivar last: id of the event that was read last.
    :ivar ever: whether the daemon has ever answered.
    """

    def __init__(
        self,
        after: str | None = None,
        *,
        kinds: Iterable[EventKind | str] = (),
        job: str | None = None,
        run_events: bool = False,
    ) -> None:
        self.last = after
        self.ever = False
        self.kinds = tuple(kinds)
        self._job = job
        self._run_events = run_events
        self._delay_s = FIRST_DELAY_S

    def call(self) -> Call[None]:
        """What to ask for now."""
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self.last is not None:
            headers["Last-Event-ID"] = self.last
        query = {
            "kind": [str(kind) for kind in self.kinds],
            "run_events": True if EventKind.RUN_EVENT in self.kinds or self._run_events else None,
            "job": self._job,
        }
        return Call(method="GET", path="events", read=nothing, query=query, headers=headers)

    def connected(self) -> None:
        """The daemon has answered."""
        self.ever = True
        self._delay_s = FIRST_DELAY_S

    def delay_s(self) -> float:
        """Seconds until the next try."""
        delay_s, self._delay_s = self._delay_s, min(self._delay_s * 2, LONGEST_DELAY_S)
        return delay_s

    def read(self, sent: ServerSentEvent) -> StreamEvent | None:
        """The event that was sent; ``None`` for a kind that this version does not know.

        :raises DaemonError: if it makes no sense.
        """
        if sent.event not in list(EventKind):
            self.last = sent.id or self.last
            log.debug("the daemon tells of %s, which this version does not know", sent.event)
            return None
        try:
            event = StreamEvent.model_validate_json(sent.data)
        except ValidationError as error:
            raise DaemonError(
                f"the event stream makes no sense: {error.errors()[0]['msg']}",
                hint="is the daemon of another version? taskgen status says so",
            ) from error
        self.last = event.id or self.last
        return event

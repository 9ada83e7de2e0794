"""The streams without I/O: what is asked for, where we are, and what a line says."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

import httpx
from httpx_sse import ServerSentEvent
from pydantic import ValidationError

from taskgen.client import calls
from taskgen.client.call import BUSY, Call, error_of, nothing
from taskgen.errors import DaemonError, DaemonUnreachableError, TaskgenError
from taskgen.resources import ConsoleLine, EventKind, StreamEvent

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


class Connections:
    """One connection after the other.

    :ivar ever: whether the daemon has ever answered.
    """

    def __init__(self) -> None:
        self.ever = self._open = False
        self._delay_s = FIRST_DELAY_S

    def connected(self) -> None:
        """The daemon has answered."""
        self.ever = self._open = True
        self._delay_s = FIRST_DELAY_S

    def lost(self) -> bool:
        """It is over; whether there was a connection, and not only a try."""
        was_open, self._open = self._open, False
        return was_open

    def delay_s(self) -> float:
        """Seconds until the next try."""
        delay_s, self._delay_s = self._delay_s, min(self._delay_s * 2, LONGEST_DELAY_S)
        return delay_s


class Position(Connections):
    """Where in the stream we are, over all its connections.

    :param after: id of the event to go on behind; ``None``: from now on.
    :ivar kinds: what is listened to; may be changed between two connections.
    :ivar last: id of the event that was read last.
    """

    def __init__(
        self,
        after: str | None = None,
        *,
        kinds: Iterable[EventKind | str] = (),
        job: str | None = None,
        run_events: bool = False,
    ) -> None:
        super().__init__()
        self.last = after
        self.kinds = tuple(kinds)
        self._job = job
        self._run_events = run_events

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


class LogPosition(Connections):
    """Where in what a machine's console says we are, over all connections.

    :param choice: parameters of :func:`taskgen.client.calls.console_lines`.
    :ivar lasts: whether it goes on with the next daemon: without ``boot`` it has no end.
    """

    def __init__(self, name: str, choice: dict[str, Any]) -> None:
        super().__init__()
        self.lasts = bool(choice.get("follow")) and choice.get("boot") is None
        self._name = name
        self._choice = choice
        self._began = time.time()

    def call(self) -> Call[str]:
        """What to ask for now."""
        choice = dict(self._choice)
        if self.ever and "after" not in choice:  # it had said nothing by then
            choice |= {"lines": None, "since": self._began}
        return calls.console_lines(self._name, **choice)

    def read(self, text: str) -> ConsoleLine:
        """A line of the answer."""
        line = ConsoleLine.model_validate_json(text)
        self._choice |= {"lines": None, "since": None, "after": f"{line.boot}:{line.end}"}
        return line

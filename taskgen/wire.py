"""A socket with the Taskloader protocol on it: bytes to those who wait for them."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from dataclasses import dataclass
from typing import Any

from taskgen.errors import (
    ConnectionLostError,
    RemoteProtocolError,
    SessionError,
    SessionTimeoutError,
    StateError,
)
from taskgen.events.model import Event
from taskgen.protocol import (
    Available,
    ClientConnection,
    ConnectionClosed,
    Frame,
    GoSend,
    Message,
    read_frame,
)

#: Unread items from which on the target has to wait, until half of them are read.
INBOX_LIMIT = 10_000

_FORGET = struct.pack("ii", 1, 0)  # struct linger: l_onoff, l_linger


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A frame, or a part of one, that makes no sense. The connection goes on.

    :ivar reason: what is wrong with it.
    :ivar raw: the whole frame as it came.
    """

    reason: str
    raw: bytes


class Wire(asyncio.Protocol):
    """The client's end of a connection. One reader and one asker at a time.

    :param target: name of the other side, for messages.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.inbox: deque[Event | BadFrame] = deque()
        self.failure: SessionError | RemoteProtocolError | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection = ClientConnection()
        self._transport: asyncio.Transport | None = None
        self._reading_paused = False
        self._go_send: asyncio.Future[None] | None = None
        self._echoes: list[asyncio.Future[None]] = []  # one, as a rule
        self._frame: asyncio.Future[bytes | None] | None = None
        self._news: asyncio.Future[None] | None = None
        self._alarm = _Alarm()

    # For those who ask and wait.

    def send(self, *messages: Message) -> None:
        """Write messages in one piece.

        :raises LocalProtocolError: if one of them may not be sent now.
        """
        self.check()
        assert self._transport is not None
        self._transport.write(b"".join([self._connection.send(message) for message in messages]))

    def check(self) -> None:
        """Raise what ended the connection, if anything did."""
        if self.failure is not None:
            # A fresh one for each call: a traceback must not grow with the number of waiters.
            raise type(self.failure)(
                self.failure.message, hint=self.failure.hint
            ) from self.failure.__cause__

    async def go_send(self, limit_s: float, what: str) -> None:
        """Wait for the next ``GO_SEND``; call it before anything can have been read."""
        self._go_send = asyncio.get_running_loop().create_future()
        try:
            await self._wait(self._go_send, limit_s, what)
        finally:
            self._go_send = None

    async def echo(self, limit_s: float, what: str) -> None:
        """Wait for the echo of the ``AVAILABLE`` that was sent last.

        One that comes too late is counted nevertheless, so that it cannot be taken for another.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._echoes.append(future)
        await self._wait(future, limit_s, what)

    async def frame(self, limit_s: float) -> bytes | None:
        """Wait for the next frame, whatever it says; ``None`` if there is none in time."""
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._frame = future
        try:
            await self._wait(future, limit_s, "frame")
        except SessionTimeoutError:
            return None
        finally:
            self._frame = None
        return future.result()

    async def next_item(self, deadline: float | None, what: str) -> Event | BadFrame:
        """Wait for the next event.

        :param deadline: on the loop's clock; ``None``: wait for ever.
        """
        if self._news is not None:
            raise StateError("the events cannot be read", state="being read", required="idle")
        while not self.inbox:
            self.check()
            self._news = asyncio.get_running_loop().create_future()
            try:
                if not await self._alarm.in_time(self._news, deadline):
                    raise SessionTimeoutError(f"{self.target}: {what}")
            finally:
                self._news = None
        return self.take()

    @property
    def has_items(self) -> bool:
        """Whether :meth:`take` has something to give, and nobody else waits for it."""
        return bool(self.inbox) and self._news is None

    def take(self) -> Event | BadFrame:
        """The first of what has come in and has not been read."""
        item = self.inbox.popleft()
        if self._reading_paused and len(self.inbox) < INBOX_LIMIT // 2:
            self._set_reading(paused=False)
        return item

    def take_all(self) -> tuple[Event | BadFrame, ...]:
        """All that has come in and has not been read."""
        items = tuple(self.inbox)
        self.inbox.clear()
        self._set_reading(paused=False)
        return items

    def fail(self, error: SessionError | RemoteProtocolError) -> None:
        """End the connection at once; all that wait, now or later, get ``error``."""
        self._end(error)
        self.abort()

    def abort(self) -> None:
        """Give up what has not been written."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Write what is left, then end the connection."""
        self._end(ConnectionLostError(f"{self.target}: the session was closed"))
        if self._transport is not None:
            self._transport.close()

    def forget_at_end(self) -> None:
        """Have the kernel forget the connection as soon as it ends, with what is not written yet.

        It tells the other side once. Else it would do so until that answers, and whoever has got
        the other side's address by then would have to say that it knows of no connection.
        """
        if self._transport is not None and not self.closed.done():
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _FORGET)

    def end_writing(self) -> None:
        """Write what is left, then tell the other side that there will be no more."""
        self._set_reading(paused=False)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()

    def look_often(self) -> None:
        """Ask the other side each second whether it still knows the connection."""
        self._set_reading(paused=False)
        if self._transport is not None and not self.closed.done():
            sock = self._transport.get_extra_info("socket")
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
                sock.setsockopt(socket.IPPROTO_TCP, option, 1)

    def _end(self, error: SessionError | RemoteProtocolError) -> None:
        if self.failure is None:
            self.failure = error
        for future in (self._go_send, self._news, self._frame, *self._echoes):
            _settle(future)

    async def _wait(self, future: asyncio.Future[Any], limit_s: float, what: str) -> None:
        self.check()
        self._set_reading(paused=False)
        if not await self._alarm.in_time(future, asyncio.get_running_loop().time() + limit_s):
            raise SessionTimeoutError(f"{self.target}: no {what} within {limit_s:g} s")
        self.check()

    # For the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._connection.receive_data(data)
        self._read_messages()
        if len(self.inbox) > INBOX_LIMIT and not (self._go_send or self._echoes or self._frame):
            self._set_reading(paused=True)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.receive_data(b"")
        if exc is None:
            self._read_messages()
        else:
            error = ConnectionLostError(f"{self.target}: connection lost: {explain(exc)}")
            error.__cause__ = exc
            self.fail(error)
        self._alarm.cancel()
        _settle(self.closed)

    def _read_messages(self) -> None:
        try:
            for message in self._connection:
                self._take(message)
        except RemoteProtocolError as error:
            failure = RemoteProtocolError(f"{self.target}: {error.message}", hint=error.hint)
            failure.__cause__ = error
            self.fail(failure)

    def _take(self, message: Message) -> None:
        match message:
            case Frame(payload):
                content = read_frame(payload)
                self.inbox.extend(content.events)
                self.inbox.extend(BadFrame(problem, payload) for problem in content.problems)
                if self._frame is not None and not self._frame.done():
                    self._frame.set_result(payload)
                if self.inbox:
                    _settle(self._news)
            case GoSend():
                _settle(self._go_send)
            case Available() if self._echoes:
                _settle(self._echoes.pop(0))
            case ConnectionClosed():
                self.fail(ConnectionLostError(f"{self.target}: closed the connection"))

    def _set_reading(self, *, paused: bool) -> None:
        if paused == self._reading_paused or self._transport is None:
            return
        self._reading_paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


def explain(error: Exception) -> str:
    """What the operating system says about an error, without number and address."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)


#: The result of a future that nobody has given another in time.
_LATE = object()


class _Alarm:
    """Limits for waits, with one timer for all of them.

    ``asyncio.timeout`` makes a timer for each wait, of which every run has two, and nearly none of
    them ever rings. This one is left to ring, and then looks who is late.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._deadlines: dict[asyncio.Future[Any], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def in_time(self, future: asyncio.Future[Any], deadline: float | None) -> bool:
        """Wait for a future that only we wait for; whether it came before ``deadline``.

        :param deadline: on the loop's clock; ``None``: wait for ever.
        """
        if deadline is None:
            await future
            return True
        self._deadlines[future] = deadline
        if self._timer is None or deadline < self._timer.when():
            self._set(deadline)
        try:
            return await future is not _LATE
        finally:
            del self._deadlines[future]

    def cancel(self) -> None:
        """Let it not ring any more; there is nothing to wait for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, deadline: float) -> None:
        self.cancel()
        self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now = self._loop.time()
        for future, deadline in self._deadlines.items():
            if deadline <= now:
                _settle(future, _LATE)
        later = [deadline for deadline in self._deadlines.values() if deadline > now]
        if later:
            self._set(min(later))


def _settle(future: asyncio.Future[Any] | None, result: object = None) -> None:
    if future is not None and not future.done():
        future.set_result(result)

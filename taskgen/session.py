"""One session with a target: the Taskloader protocol over a connected socket.

Every wait is for the socket, and every one has a limit. Which waits there are is up to the caller:
:meth:`Session.prepare`, :meth:`Session.start`, :meth:`Session.events` and :meth:`Session.stop`
are a run.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from taskgen.errors import ConnectionLostError, SessionTimeoutError
from taskgen.events.model import Event
from taskgen.protocol import (
    DEFAULT_PORT,
    Available,
    Binary,
    Clear,
    GetLive,
    GetProfile,
    Message,
    Optimize,
    Reboot,
    SendBinaries,
    SendDescs,
    Start,
    Stop,
)
from taskgen.wire import BadFrame, Wire, explain

# They are nothing but their word, and each run needs them.
_CLEAR, _START, _AVAILABLE = Clear(), Start(), Available()

#: Makes a connected, non-blocking TCP socket in the network namespace where the target is.
Connect = Callable[[], Awaitable[socket.socket]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long to wait for a target before it counts as lost.

    :ivar connect_s: for the TCP connection.
    :ivar answer_s: for ``GO_SEND``, and for the echo of ``AVAILABLE``, which also waits for all
        that was asked before: real servers take half a second for a ``CLEAR``.
    :ivar upload_bytes_per_s: the slowest upload to put up with; extends the limit for the answer
        that follows an upload.
    :ivar silence_s: unacknowledged data or keepalives for so long end the connection: a guest that
        was reset says neither FIN nor RST.
    :ivar close_s: for what is still to be written when closing.
    """

    connect_s: float = 5.0
    answer_s: float = 10.0
    upload_bytes_per_s: float = 50_000.0
    silence_s: float = 30.0
    close_s: float = 2.0


class Session:
    """A connection that the target really serves. Made by :meth:`open`, ended by :meth:`close`.

    It is an asynchronous context manager, and belongs to one event loop. One coroutine at a time
    may ask for something, another may read the events meanwhile. Cancelling a call is safe; an
    upload that is cancelled, or that fails, ends the connection, because the target is left waiting
    for bytes.

    All methods raise, with the target's name in the message:

    :raises ConnectionLostError: if the target closed, reset or went silent, or after :meth:`close`.
    :raises SessionTimeoutError: if it did not answer in time.
    :raises RemoteProtocolError: if it said what cannot be understood; the connection is closed.
    :raises LocalProtocolError: for what may not be sent at all, or not now.
    """

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self._wire = wire
        self._limits = limits

    @classmethod
    async def open(cls, target: str, connect: Connect, *, limits: Limits | None = None) -> Self:
        """Connect, and wait until the target answers ``AVAILABLE``.

        :param target: name of the machine or board, for messages.
        """
        limits = limits or Limits()
        wire = Wire(target)
        await _attach(wire, connect, limits)
        session = cls(wire, limits)
        try:
            await session.available()
        except SessionTimeoutError as error:
            error.hint = "a Taskloader serves one client at a time: has another one got it?"
            wire.fail(error)
            raise
        except BaseException as error:
            wire.fail(ConnectionLostError(f"{target}: the session was not opened: {error!r}"))
            raise
        return session

    @property
    def target(self) -> str:
        return self._wire.target

    @property
    def usable(self) -> bool:
        """Whether the connection still stands, as far as is known."""
        return self._wire.failure is None

    def on_end(self, callback: Callable[[str], object]) -> None:
        """Call ``callback`` with the reason once the connection has ended, in whatever way."""

        def ended(_: asyncio.Future[None]) -> None:
            callback(str(self._wire.failure or f"{self.target}: the connection has ended"))

        self._wire.closed.add_done_callback(ended)

    async def available(self, timeout_s: float | None = None) -> None:
        """Ask ``AVAILABLE`` and wait for the echo.

        Servers do one thing after the other, so the echo also says that all before it is done: it
        is the only acknowledgement that there is.

        :param timeout_s: default: the limit for answers.
        """
        self._wire.send(_AVAILABLE)
        await self._wire.echo(timeout_s or self._limits.answer_s, "answer to AVAILABLE")

    async def prepare(self, description: bytes, binaries: Sequence[Binary] = ()) -> None:
        """``CLEAR``, ``SEND_DESCS`` and uploads, in as few writes as there can be; wait till done.

        After it nothing of an earlier run is running any more, and what that run had to say has
        come in; :meth:`start` throws it away.

        :param description: the XML of the task-set.
        :param binaries: only those that this boot of the target has not had.
        """
        await self._converse([_CLEAR, SendDescs(description)], binaries)

    async def send_binaries(self, binaries: Sequence[Binary]) -> None:
        """Upload binaries, and wait until the target has them all."""
        await self._converse([], binaries)

    def clear(self) -> None:
        """Stop and drop all tasks; there is no answer to wait for."""
        self._wire.send(_CLEAR)

    def send_descriptions(self, description: bytes) -> None:
        """Send the XML of a task-set; there is no answer to wait for."""
        self._wire.send(SendDescs(description))

    def optimize(self, data: bytes) -> None:
        """Send data for admission control; there is no answer to wait for.

        Only for targets that are known to understand it: others take the XML for commands.
        """
        self._wire.send(Optimize(data))

    def start(self) -> tuple[Event | BadFrame, ...]:
        """Begin the run; there is no answer to wait for.

        :returns: what had come in before and nobody had read. It cannot belong to this run, and
            :meth:`events` will not tell it.
        """
        self._wire.send(_START)
        return self._wire.take_all()

    def stop(self) -> None:
        """End the run; there is no answer to wait for, but activations that were running say so."""
        self._wire.send(Stop())

    def reboot(self) -> None:
        """Restart the target. Nothing can be sent any more; close the session."""
        self._wire.send(Reboot())

    async def dropped(self, timeout_s: float) -> None:
        """Wait until the target has dropped this connection, after :meth:`reboot`.

        A target that has restarted does not know it any more, and says so to a keepalive, or it
        says nothing at all. One that goes on answering has not restarted.

        :raises SessionTimeoutError: if the connection still stands after ``timeout_s``.
        """
        self._wire.look_often()
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.shield(self._wire.closed)
        except TimeoutError as error:
            raise SessionTimeoutError(
                f"{self.target}: has not restarted within {timeout_s:g} s: the connection stands"
            ) from error

    def lose(self, reason: str) -> None:
        """End the connection at once, because the target is known to be lost for it.

        Whoever waits for something, now or later, gets a ``ConnectionLostError`` with ``reason``.
        """
        self._wire.forget_at_end()
        self._wire.fail(ConnectionLostError(f"{self.target}: {reason}"))

    def events(self, *, timeout_s: float | None = None) -> AsyncIterator[Event | BadFrame]:
        """What the target tells, as it comes, for ever. One reader at a time.

        What has come in is told before an error is raised.

        :param timeout_s: for the whole iteration, from now on; then ``SessionTimeoutError``. The
            session stays usable.
        """
        return _Events(self._wire, timeout_s)

    def unread(self) -> tuple[Event | BadFrame, ...]:
        """What has come in and :meth:`events` has not told; it will not tell it any more."""
        return self._wire.take_all()

    async def profile(self, timeout_s: float = 2.0) -> bytes | None:
        """Ask ``GET_PROFILE``. See :meth:`live`."""
        return await self._ask(GetProfile(), timeout_s)

    async def live(self, timeout_s: float = 2.0) -> bytes | None:
        """Ask ``GET_LIVE``.

        :returns: the next frame as it came, or ``None`` if there was none: a server that has
            nothing to tell says nothing. Nobody can tell an answer from a frame that is pushed just
            then, so its events also come out of :meth:`events`.
        """
        return await self._ask(GetLive(), timeout_s)

    async def close(self) -> None:
        """Write what is still to be written, within a limit, and close. Never raises."""
        wire = self._wire
        try:
            wire.close()
            async with asyncio.timeout(self._limits.close_s):
                await asyncio.shield(wire.closed)
        except TimeoutError:
            pass  # the rest is given up below
        finally:
            wire.abort()

    async def drop(self) -> None:
        """End it at once, because the target is about to be ended, or started anew. Never raises.

        Nothing of it reaches whoever has the target's address then.
        """
        self.lose("the session was closed")
        await asyncio.shield(self._wire.closed)

    async def finish(self) -> None:
        """Close, but let the target be done with it first: its server is free for others then.

        Never raises; a target that does not close its end within the limit for that is left alone.
        """
        try:
            self._wire.end_writing()
            async with asyncio.timeout(self._limits.close_s):
                await asyncio.shield(self._wire.closed)
        except TimeoutError:
            pass
        finally:
            await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _ask(self, question: Message, timeout_s: float) -> bytes | None:
        self._wire.send(question)
        return await self._wire.frame(timeout_s)

    async def _converse(self, first: list[Message], binaries: Sequence[Binary]) -> None:
        limit_s = self._limits.answer_s
        if binaries:
            last = len(binaries) - 1
            self._wire.send(*first, SendBinaries(len(binaries)))
            try:
                for position, binary in enumerate(binaries):
                    await self._wire.go_send(limit_s, f"GO_SEND for {binary.name}")
                    limit_s = self._upload_limit_s(binary)
                    # The question that confirms the last one travels with it.
                    self._wire.send(binary, *([_AVAILABLE] if position == last else []))
            except BaseException:
                self._wire.fail(ConnectionLostError(f"{self.target}: an upload was broken off"))
                raise
        else:
            self._wire.send(*first, _AVAILABLE)
        await self._wire.echo(limit_s, "answer to AVAILABLE")

    def _upload_limit_s(self, binary: Binary) -> float:
        return self._limits.answer_s + len(binary.content) / self._limits.upload_bytes_per_s


class _Events(AsyncIterator[Event | BadFrame]):
    def __init__(self, wire: Wire, timeout_s: float | None) -> None:
        self._wire = wire
        self._what = f"the run has not ended within {timeout_s} s"
        self._deadline = (
            None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
        )

    async def __anext__(self) -> Event | BadFrame:
        wire = self._wire
        return wire.take() if wire.has_items else await wire.next_item(self._deadline, self._what)


def tcp(address: str, port: int = DEFAULT_PORT) -> Connect:
    """Connects from where the engine is: to boards, and in tests.

    :param address: a numeric IPv4 address.
    """

    async def connect() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except BaseException:
            sock.close()
            raise
        return sock

    return connect


async def _attach(wire: Wire, connect: Connect, limits: Limits) -> None:
    try:
        async with asyncio.timeout(limits.connect_s):
            sock = await connect()
    except TimeoutError as error:
        raise SessionTimeoutError(
            f"{wire.target}: no connection within {limits.connect_s:g} s"
        ) from error
    except OSError as error:
        raise ConnectionLostError(f"{wire.target}: cannot connect: {explain(error)}") from error
    try:
        _tune(sock, limits.silence_s)
        await asyncio.get_running_loop().create_connection(lambda: wire, sock=sock)
    except BaseException:
        sock.close()
        raise


def _tune(sock: socket.socket, silence_s: float) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # The kernel's units are whole seconds. The user time-out decides in the end; it also covers
    # data that nobody acknowledges, where keepalives are not sent.
    interval_s = max(1, round(silence_s / 6))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, round(silence_s / 3)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(silence_s * 1000))

"""A Taskloader server for tests: it speaks the real protocol on a real socket, and can misbehave.

::

    async with FakeTaskloader(time_scale=0.1) as fake:
        async with await Session.open("fake", fake.connect) as session:
            await session.prepare(description, [Binary("hey", b"…")])
            session.start()
            async for event in session.events(timeout_s=5):
                …

What its tasks do is computed (:mod:`taskgen.simulation`), nothing is executed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from dataclasses import replace
from types import TracebackType
from typing import Self

from taskgen.errors import ProtocolError
from taskgen.events.model import Event, EventType
from taskgen.faults import Faults
from taskgen.playback import Playback
from taskgen.protocol import (
    MAX_FRAME_BYTES,
    Available,
    Binary,
    Clear,
    ConnectionClosed,
    Frame,
    GetLive,
    GetProfile,
    GoSend,
    Message,
    Reboot,
    SendBinaries,
    SendDescs,
    ServerConnection,
    Start,
    State,
    Stop,
    events_to_xml,
)
from taskgen.session import Connect, tcp
from taskgen.simulation import Execution, SimulatedTask, declared, read_tasks, timeline

__all__ = ["FakeTaskloader", "Faults"]

_MALFORMED = b"<profile><events><event type='START' task-id=</events></profile>\0"


class FakeTaskloader:
    """One target. Listens while it is entered as an asynchronous context manager.

    Like a real one it serves one client at a time: a further one is connected and not served.

    :param port: 0 takes a free one.
    :param time_scale: seconds that a second of the run takes; 0 ends every run at once.
    :param optimize: whether it knows ``OPTIMIZE``.
    :param precise: tell times in µs and push each event at once, like our guest; if not, do as
        Genode does: milliseconds, and a ``START`` only together with the next exit.
    :param execution: how long activations run; default: as long as they declare.
    :ivar faults: what it does wrong; may be changed between runs.
    :ivar received: the last 1000 messages, newest last.
    :ivar binaries: content by name; survives ``CLEAR``, but not a reboot.
    :ivar boots: 1 and the number of reboots.
    :ivar served: how many clients have had their turn.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        time_scale: float = 1.0,
        faults: Faults | None = None,
        optimize: bool = False,
        precise: bool = True,
        execution: Execution = declared,
    ) -> None:
        self.host = host
        self.port = port
        self.time_scale = time_scale
        self.faults = faults or Faults()
        self.optimize = optimize
        self.precise = precise
        self.execution = execution
        self.received: deque[Message] = deque(maxlen=1000)
        self.binaries: dict[str, bytes] = {}
        self.tasks: tuple[SimulatedTask, ...] = ()
        self.boots = 1
        self.served = 0
        self._server: asyncio.Server | None = None
        self._clients: deque[_Client] = deque()  # the first one is served

    @property
    def connect(self) -> Connect:
        """What a session needs to reach it."""
        return tcp(self.host, self.port)

    @property
    def connected(self) -> bool:
        """Whether a client is being served."""
        return bool(self._clients)

    def drop_client(self) -> None:
        """Reset the connection of the client that is served."""
        if self._clients:
            self._clients[0].reset()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        clients = tuple(self._clients)
        for client in clients:
            client.abort()
        await self._server.wait_closed()
        await asyncio.gather(*(client.gone for client in clients))

    def _arrived(self, client: _Client) -> None:
        self._clients.append(client)
        if client is self._clients[0]:
            self._serve()

    def _left(self, client: _Client) -> None:
        being_served = client is self._clients[0]
        self._clients.remove(client)
        if being_served and self._clients:
            self._serve()

    def _serve(self) -> None:
        self.served += 1
        self._clients[0].serve()

    def _reboot(self) -> None:
        self.boots += 1
        self.binaries.clear()
        self.tasks = ()


class _Client(asyncio.Protocol):
    """One client of a fake: what it says, and what it is told."""

    def __init__(self, fake: FakeTaskloader) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fake = fake
        self._connection = ServerConnection(optimize=fake.optimize)
        self._transport: asyncio.Transport | None = None
        self._run: Playback | None = None
        self._clock_us = 1_000_000  # of the guest; no run begins where another one ended
        self._busy = False  # with a slow upload
        self._unwritten: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.pause_reading()
        self._fake._arrived(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_run()
        self._transport = None
        self._fake._left(self)
        self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._connection.receive_data(data)
        self._listen()

    def serve(self) -> None:
        assert self._transport is not None
        self._transport.resume_reading()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Abort so that the other side gets an RST."""
        if self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.abort()

    def say(self, message: Message) -> None:
        self._write(self._connection.send(message))

    def hang_up(self) -> None:
        """Close once all that was said before has been written."""
        self._write(b"")

    def push(self, events: list[Event]) -> None:
        """Send events as one frame."""
        if not self._fake.precise:
            events = [replace(e, time_us=None, release_us=None, cpu_us=None) for e in events]
        self.push_raw(events_to_xml(events))

    def push_raw(self, payload: bytes) -> None:
        faults = self._fake.faults
        self.say(Frame((payload + faults.trailing_rubbish).ljust(faults.frame_bytes, b"\0")))

    def misbehave(self, first: Event) -> None:
        """What is wrong before the first event of a run."""
        faults = self._fake.faults
        if faults.die_mid_frame:
            self._write(self._connection.send(Frame(events_to_xml([first])))[:50])
            self.hang_up()
        if faults.overlong_frame:
            self._write((MAX_FRAME_BYTES + 1).to_bytes(4, "little"))
        if faults.malformed_frame:
            self.push_raw(_MALFORMED)
        if faults.unknown_event:
            self.push([replace(first, type="EXPLODED")])
        if faults.exit_without_start:
            self.push([replace(first, type=EventType.EXIT.value)])
        if faults.early_jobs_done:
            self.push([replace(first, type=EventType.JOBS_DONE.value)])

    def _listen(self) -> None:
        try:
            while not self._busy and (message := self._connection.next_event()) is not None:
                self._fake.received.append(message)
                self._obey(message)
        except ProtocolError:
            # A real server would go on with what it takes for commands; a test had better notice.
            self.abort()

    def _obey(self, message: Message) -> None:
        match message:
            case Available():
                if not self._fake.faults.never_available:
                    self.say(Available())
            case SendDescs(xml):
                self._fake.tasks += read_tasks(xml)
            case SendBinaries():
                self._ask_for_binary()
            case Binary(name, content):
                self._fake.binaries.setdefault(name, content)
                self._take_time(len(content))
            case Start():
                self._start_run()
            case Stop():
                self._end_run()
            case Clear():
                self._end_run()
                self._fake.tasks = ()
            case GetProfile() | GetLive():
                if not self._fake.faults.no_profile:
                    self.push([])
            case Reboot() | ConnectionClosed():
                if isinstance(message, Reboot):
                    self._fake._reboot()
                self.abort()

    def _ask_for_binary(self) -> None:
        faults = self._fake.faults
        if self._connection.state is not State.GO_SEND_DUE or faults.no_go_send:
            return
        if faults.frame_before_go_send:
            stale = Event(type=EventType.EXIT_EXTERNAL.value, task_id=1, time_stamp_ms=1)
            self.push([stale])
        self.say(GoSend())

    def _take_time(self, size: int) -> None:
        rate = self._fake.faults.upload_bytes_per_s
        if rate is None:
            self._ask_for_binary()
            return
        self._busy = True
        asyncio.get_running_loop().call_later(size / rate, self._taken)

    def _taken(self) -> None:
        self._busy = False
        if self._transport is not None:
            self._ask_for_binary()
            self._listen()

    def _start_run(self) -> None:
        self._end_run()
        fake, faults = self._fake, self._fake.faults
        if faults.drop_after_events == 0:
            self.abort()
        elif not faults.hang_after_start:
            events = timeline(
                fake.tasks,
                binaries=fake.binaries,
                execution=fake.execution,
                refused=faults.refused,
            )
            self._run = Playback(
                events,
                base_us=self._clock_us,
                time_scale=fake.time_scale,
                hold_starts=not fake.precise,
                limit=faults.drop_after_events,
                on_first=self.misbehave,
                on_events=self.push,
                on_limit=self.hang_up,
            )

    def _end_run(self) -> None:
        run, self._run = self._run, None
        if run is None:
            return
        killed = run.stop()
        self._clock_us = run.now_us + 1000
        delay_s = self._fake.faults.late_exits_s
        if killed and delay_s:
            asyncio.get_running_loop().call_later(delay_s, self._push_if_connected, killed)
        elif killed:
            self._push_if_connected(killed)

    def _push_if_connected(self, events: list[Event]) -> None:
        if self._transport is not None:
            self.push(events)

    def _write(self, data: bytes) -> None:
        """Write; close behind all that was written before if ``data`` is empty."""
        size = self._fake.faults.write_bytes or max(1, len(data))
        pieces = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
        idle = not self._unwritten
        self._unwritten.extend(pieces)
        if idle:
            self._write_on()

    def _write_on(self) -> None:
        if self._transport is None or self._transport.is_closing():
            self._unwritten.clear()
            return
        piece = self._unwritten[0]
        if piece:
            self._transport.write(piece)
        else:
            self._transport.close()  # not abort(): what was written has to arrive
        self._unwritten.popleft()
        if self._unwritten:
            asyncio.get_running_loop().call_soon(self._write_on)

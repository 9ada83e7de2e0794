"""A session against a server on a real socket: what it sends, awaits, and how it ends."""

import asyncio
import re
import socket
from itertools import pairwise

import pytest

from taskgen import wire
from taskgen.errors import (
    ConnectionLostError,
    LocalProtocolError,
    RemoteProtocolError,
    SessionTimeoutError,
    StateError,
)
from taskgen.events.model import Event
from taskgen.protocol import (
    Available,
    Binary,
    Clear,
    GetLive,
    GetProfile,
    Optimize,
    Reboot,
    SendBinaries,
    SendDescs,
    Start,
    Stop,
)
from taskgen.session import Limits, Session, tcp
from taskgen.testing import FakeTaskloader, Faults
from taskgen.wire import BadFrame

LIMITS = Limits(connect_s=20, answer_s=20)
IMPATIENT = Limits(answer_s=0.1, close_s=0.1)
HEY = Binary("hey", b"\x7fELF")
EMPTY = b"<taskset></taskset>"


def taskset(*tasks):
    """A description; each task is (id, period, executiontime, numberofjobs)."""
    return b"<taskset>%b</taskset>" % b"".join(
        b"<periodictask><id>%d</id><pkg>hey</pkg><period>%d</period><executiontime>%d"
        b"</executiontime><numberofjobs>%d</numberofjobs><config></config></periodictask>" % task
        for task in tasks
    )


def on(use, *, limits=LIMITS, **fake):
    """Run ``use(session, fake)`` on an open session, leave it, and give back what it returned."""

    async def main():
        async with (
            FakeTaskloader(time_scale=0, **fake) as server,
            await Session.open("taskgen-7", server.connect, limits=limits) as session,
        ):
            return await use(session, server)

    return asyncio.run(main())


async def take(session, count, timeout_s=20.0):
    items = []
    async for item in session.events(timeout_s=timeout_s):
        items.append(item)
        if len(items) == count:
            break
    return items


async def until(condition):
    while not condition():  # noqa: ASYNC110 - the other side has no event to wait for
        await asyncio.sleep(0)


def test_a_whole_run():
    async def use(session, fake):
        assert (session.target, session.usable) == ("taskgen-7", True)
        await session.prepare(taskset((1, 10, 2, 2)), [HEY, Binary("hoy", b"")])
        assert session.start() == ()
        events = await take(session, 5)
        session.stop()
        session.clear()
        await session.available()
        return [event.type for event in events], list(fake.received)

    types, received = on(use)
    assert types == ["START", "EXIT", "START", "EXIT", "JOBS_DONE"]
    assert received == [
        Available(),
        Clear(),
        SendDescs(taskset((1, 10, 2, 2))),
        SendBinaries(2),
        HEY,
        Binary("hoy", b""),
        Available(),
        Start(),
        Stop(),
        Clear(),
        Available(),
    ]


def test_without_new_binaries_nothing_is_said_of_them():
    async def use(session, fake):
        await session.prepare(EMPTY)
        return list(fake.received)[1:]

    assert on(use) == [Clear(), SendDescs(EMPTY), Available()]


def test_each_message_by_itself():
    async def use(session, fake):
        session.clear()
        session.send_descriptions(EMPTY)
        await session.send_binaries([HEY])
        session.optimize(b"<o/>")
        session.stop()
        await session.available(5)
        session.reboot()
        with pytest.raises(LocalProtocolError, match="rebooting"):
            session.start()
        with pytest.raises(ConnectionLostError, match="taskgen-7: closed the connection"):
            await take(session, 1)
        assert not session.usable
        return list(fake.received)[1:], fake.boots

    received, boots = on(use, optimize=True)
    assert received == [
        Clear(),
        SendDescs(EMPTY),
        SendBinaries(1),
        HEY,
        Available(),
        Optimize(b"<o/>"),
        Stop(),
        Available(),
        Reboot(),
    ]
    assert boots == 2


@pytest.mark.parametrize("ask", [Session.profile, Session.live])
def test_profile_and_live(ask):
    async def use(session, fake):
        answer = await ask(session, 20)
        fake.faults = Faults(no_profile=True)
        nothing = await ask(session, 0.02)
        await session.available()
        return answer, nothing, list(fake.received)[1:3]

    answer, nothing, received = on(use)
    assert answer == b"<profile><events></events></profile>\0"
    assert nothing is None
    assert received == [{Session.profile: GetProfile, Session.live: GetLive}[ask]()] * 2


def test_a_connection_that_is_not_served_is_no_session():
    async def main():
        async with FakeTaskloader() as fake:
            first = await Session.open("board", fake.connect)
            with pytest.raises(
                SessionTimeoutError, match=r"board: no answer to AVAILABLE .*another"
            ):
                await Session.open("board", fake.connect, limits=IMPATIENT)
            await first.close()
            async with await Session.open("board", fake.connect):
                assert fake.served >= 2

    asyncio.run(main())


def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionLostError, match="board: cannot connect: Connection refused"):
            asyncio.run(Session.open("board", tcp(*free.getsockname())))


def test_connecting_has_a_limit():
    async def never():
        await asyncio.Event().wait()

    with pytest.raises(SessionTimeoutError, match=r"board: no connection within 0.01 s"):
        asyncio.run(Session.open("board", never, limits=Limits(connect_s=0.01)))


def test_a_socket_that_is_none_is_closed():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def connect():
        return sock

    with pytest.raises((OSError, ValueError)):
        asyncio.run(Session.open("board", connect))
    assert sock.fileno() == -1


def test_cancelling_open_leaves_no_connection():
    async def main():
        async with FakeTaskloader(faults=Faults(never_available=True)) as fake:
            opening = asyncio.create_task(Session.open("board", fake.connect))
            await until(lambda: fake.received)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening
            await until(lambda: not fake.connected)

    asyncio.run(main())


def test_the_socket_notices_silence():
    made = []

    async def main():
        async with FakeTaskloader() as fake:

            async def connect():
                made.append(await fake.connect())
                return made[0]

            async with await Session.open("x", connect, limits=Limits(silence_s=12)):
                tcp_options = [
                    socket.TCP_NODELAY,
                    socket.TCP_KEEPIDLE,
                    socket.TCP_KEEPINTVL,
                    socket.TCP_KEEPCNT,
                    socket.TCP_USER_TIMEOUT,
                ]
                keepalive = made[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                return keepalive, [made[0].getsockopt(socket.IPPROTO_TCP, o) for o in tcp_options]

    assert asyncio.run(main()) == (1, [1, 4, 2, 4, 12_000])


class Script(asyncio.Protocol):
    """A server that notes what it reads, read by read, and answers what the test tells it to."""

    def __init__(self, answers):
        self.reads, self.answers, self.transport = [], list(answers), None
        self.gone = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.reads.append(data)
        if self.answers:
            self.transport.write(self.answers.pop(0))

    def connection_lost(self, exc):
        self.gone.set_result(exc)


def scripted(answers, use, *, limits=LIMITS):
    async def main():
        script = Script([ECHO, *answers])
        loop = asyncio.get_running_loop()
        async with await loop.create_server(lambda: script, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with await Session.open("s", tcp("127.0.0.1", port), limits=limits) as session:
                result = await use(session, script)
            script.transport.abort()
            return result

    return asyncio.run(main())


ECHO = b"\xaa\xaa\x0a\0"
GO_SEND = b"\x90\0\0\0"


def test_writes_are_few():
    async def use(session, script):
        await session.prepare(EMPTY, [HEY, HEY])
        await session.prepare(EMPTY)
        return script.reads

    reads = scripted([GO_SEND, GO_SEND, ECHO, ECHO], use)
    clear, descs = b"\xe6\x0d\0\0", b"\xe5\x0d\0\0\x13\0\0\0" + EMPTY
    upload = b"hey".ljust(16, b"\0") + b"\x04\0\0\0\x7fELF"
    assert reads == [
        ECHO,
        clear + descs + b"\x1e\xf1\xe5\x0d\x02\0\0\0",
        upload,
        upload + ECHO,
        clear + descs + ECHO,
    ]


def test_a_late_echo_is_not_taken_for_another():
    async def use(session, script):
        with pytest.raises(SessionTimeoutError, match=r"s: no answer to AVAILABLE within 0.02 s"):
            await session.available(0.02)
        assert session.usable
        second = asyncio.create_task(session.available(20))
        await until(lambda: len(script.reads) == 3)
        script.transport.write(ECHO)  # the first one's
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(second), 0.05)
        script.transport.write(ECHO)
        await second

    scripted([b"", b""], use)


@pytest.mark.parametrize("faults", [Faults(no_go_send=True), Faults(never_available=True)])
def test_answers_have_a_limit(faults):
    async def use(session, fake):
        fake.faults = faults
        with pytest.raises(SessionTimeoutError, match=r"taskgen-7: no (GO_SEND for hey|answer)"):
            await Session(session._wire, IMPATIENT).prepare(EMPTY, [HEY])

    on(use)


def test_an_upload_that_is_broken_off_ends_the_connection():
    async def use(session, fake):
        fake.faults = Faults(no_go_send=True)
        upload = asyncio.create_task(session.send_binaries([HEY]))
        await until(lambda: fake.received[-1] == SendBinaries(1))
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        assert not session.usable
        with pytest.raises(ConnectionLostError, match="taskgen-7: an upload was broken off"):
            session.clear()

    on(use)


def test_cancelling_a_wait_that_is_not_an_upload_does_no_harm():
    async def use(session, fake):
        for waiting in (session.available(), take(session, 1), session.live()):
            worker = asyncio.create_task(waiting)
            await asyncio.sleep(0)
            worker.cancel()
            with pytest.raises(asyncio.CancelledError):
                await worker
        await session.available()
        assert session.usable

    on(use)


def test_the_limit_of_an_upload_grows_with_its_size():
    async def use(session, fake):
        fake.faults = Faults(upload_bytes_per_s=400)
        await session.send_binaries([Binary("big", bytes(200)), HEY])

    on(use, limits=Limits(answer_s=0.3, upload_bytes_per_s=1))
    with pytest.raises(SessionTimeoutError, match="no GO_SEND for hey within"):
        on(use, limits=Limits(answer_s=0.3, upload_bytes_per_s=1e9))


def test_only_one_may_ask_while_an_upload_is_under_way():
    async def use(session, fake):
        fake.faults = Faults(upload_bytes_per_s=50)
        upload = asyncio.create_task(session.send_binaries([HEY]))
        await asyncio.sleep(0)
        with pytest.raises(LocalProtocolError, match="GO_SEND due"):
            session.clear()
        await upload

    on(use)


def test_events_have_a_limit_and_the_session_goes_on():
    async def use(session, fake):
        await session.prepare(EMPTY)
        session.start()
        with pytest.raises(SessionTimeoutError, match=r"taskgen-7: .* within 0.02 s"):
            await take(session, 1, timeout_s=0.02)
        await session.available()

    on(use)


def test_events_without_a_limit_wait():
    async def use(session, fake):
        await session.prepare(taskset((1, 1, 0, 1)), [HEY])
        session.start()
        return [event.type for event in await take(session, 3, timeout_s=None)]

    assert on(use) == ["START", "EXIT", "JOBS_DONE"]


def test_one_reader_at_a_time():
    async def use(session, fake):
        reader = asyncio.create_task(take(session, 1))
        await asyncio.sleep(0)
        with pytest.raises(StateError, match="being read"):
            await take(session, 1)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    on(use)


def test_what_came_before_the_start_is_of_another_run():
    async def use(session, fake):
        fake.faults = Faults(frame_before_go_send=True)
        await session.prepare(taskset((1, 1, 0, 1)), [HEY])
        stale = session.start()
        return stale, await take(session, 3)

    stale, events = on(use)
    assert stale == (Event(type="EXIT_EXTERNAL", task_id=1, time_stamp_ms=1),)
    assert [event.type for event in events] == ["START", "EXIT", "JOBS_DONE"]


def test_clearing_a_running_set_leaves_nothing_for_the_next_run():
    async def main():
        async with (
            FakeTaskloader() as fake,
            await Session.open("x", fake.connect, limits=LIMITS) as session,
        ):
            await session.prepare(taskset((1, 0, 60_000, 1)), [HEY])
            session.start()
            await take(session, 1)
            await session.prepare(taskset((2, 1, 0, 1)))
            stale = session.start()
            return stale, await take(session, 3)

    stale, events = asyncio.run(main())
    assert [(e.type, e.task_id) for e in stale] == [("EXIT_EXTERNAL", 1)]
    assert [(e.type, e.task_id) for e in events] == [("START", 2), ("EXIT", 2), ("JOBS_DONE", 2)]


def test_a_bad_frame_is_told_and_costs_no_event():
    async def use(session, fake):
        fake.faults = Faults(malformed_frame=True)
        await session.prepare(taskset((1, 1, 0, 1)), [HEY])
        session.start()
        return await take(session, 4)

    bad, *events = on(use)
    assert isinstance(bad, BadFrame)
    assert bad.reason.startswith("malformed XML")
    assert bad.raw.startswith(b"<profile><events>")
    assert [event.type for event in events] == ["START", "EXIT", "JOBS_DONE"]


@pytest.mark.parametrize(
    ("faults", "error", "reason"),
    [
        (Faults(overlong_frame=True), RemoteProtocolError, "taskgen-7: frame of 100001 bytes"),
        (Faults(die_mid_frame=True), RemoteProtocolError, "taskgen-7: closed inside a frame"),
        (Faults(drop_after_events=0), ConnectionLostError, "taskgen-7: closed the connection"),
    ],
)
def test_how_a_run_can_lose_its_connection(faults, error, reason):
    async def use(session, fake):
        fake.faults = faults
        await session.prepare(taskset((1, 1, 0, 1)), [HEY])
        session.start()
        for _ in range(2):  # whoever asks later is told as well
            with pytest.raises(error, match=reason):
                await take(session, 9)
        with pytest.raises(error, match=reason):
            await session.available()

    on(use)


def test_what_has_come_in_is_told_before_the_error():
    async def use(session, fake):
        fake.faults = Faults(drop_after_events=2)
        await session.prepare(taskset((1, 1, 0, 1)), [HEY])
        session.start()
        events = await take(session, 2)
        with pytest.raises(ConnectionLostError):
            await take(session, 1)
        return [event.type for event in events]

    assert on(use) == ["START", "EXIT"]


def test_a_reset_wakes_all_who_wait():
    async def use(session, fake):
        fake.faults = Faults(never_available=True)
        reader = asyncio.create_task(take(session, 1))
        asker = asyncio.create_task(session.available())
        await until(lambda: len(fake.received) == 2)
        fake.drop_client()
        for worker in (reader, asker):
            with pytest.raises(ConnectionLostError, match="connection lost: Connection reset"):
                await worker

    on(use)


def test_after_close_nothing_works_and_closing_again_is_fine():
    async def use(session, fake):
        await session.close()
        await session.close()
        with pytest.raises(ConnectionLostError, match="taskgen-7: the session was closed"):
            session.start()

    on(use)


async def lose(session):
    session.lose("it was reset")


@pytest.mark.parametrize(
    ("end", "seen"),
    [(Session.close, None), (Session.drop, ConnectionResetError), (lose, ConnectionResetError)],
)
def test_only_a_target_that_stays_is_told_again_and_again_that_the_session_has_ended(end, seen):
    async def use(session, script):
        await end(session)
        assert not session.usable
        return await script.gone

    error = scripted([], use)
    assert error is None if seen is None else isinstance(error, seen)


def test_a_session_that_has_ended_can_be_dropped():
    async def use(session, script):
        await session.close()
        await session.drop()
        session.lose("it was reset")
        with pytest.raises(ConnectionLostError, match="s: the session was closed"):
            session.start()

    scripted([], use)


def test_close_writes_what_is_left_but_not_for_ever():
    async def use(session, script):
        script.transport.pause_reading()
        session.send_descriptions(b"<a>" + b" " * 20_000_000)
        await session.close()
        assert not session.usable

    scripted([], use, limits=Limits(close_s=0.05))


def test_a_flood_of_events_waits_at_the_target(monkeypatch):
    monkeypatch.setattr(wire, "INBOX_LIMIT", 100)

    async def use(session, fake):
        await session.prepare(taskset((1, 1, 0, 5000)), [HEY])
        session.start()
        events = []
        async for event in session.events(timeout_s=20):
            events.append(event)
            await asyncio.sleep(0)  # slower than the target
            if len(events) == 1000:
                await session.available()  # an answer gets through all the same
            if event.type == "JOBS_DONE":
                break
        return events

    events = on(use)
    assert len(events) == 10_001
    assert all(a.at_us <= b.at_us for a, b in pairwise(events))


def test_a_start_throws_a_flood_away_and_reads_on(monkeypatch):
    monkeypatch.setattr(wire, "INBOX_LIMIT", 100)

    async def use(session, fake):
        await session.prepare(taskset((1, 1, 0, 5000)), [HEY])
        session.start()
        await until(lambda: session._wire._reading_paused)
        session.clear()
        session.send_descriptions(taskset((2, 1, 0, 1)))
        stale = session.start()
        async for event in session.events(timeout_s=20):
            if event.task_id == 2:
                return stale
        return None

    assert len(on(use)) > 100


@pytest.mark.parametrize("piece", [1, 3, 4, 5])
@pytest.mark.parametrize("frame_bytes", [0, 144])
def test_any_split_of_the_servers_writes(piece, frame_bytes):
    async def use(session, fake):
        fake.faults = Faults(write_bytes=piece, frame_before_go_send=True, frame_bytes=frame_bytes)
        await session.prepare(taskset((1, 1, 0, 2)), [HEY, Binary("hoy", b"")])
        session.start()
        return [event.type for event in await take(session, 5)], fake.binaries

    assert on(use, precise=False) == (
        ["START", "EXIT", "START", "EXIT", "JOBS_DONE"],
        {"hey": b"\x7fELF", "hoy": b""},
    )


def test_messages_carry_the_targets_name_and_keep_the_cause():
    async def use(session, fake):
        fake.drop_client()
        with pytest.raises(ConnectionLostError) as caught:
            await take(session, 1)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        assert re.match("taskgen-7: ", str(caught.value))

    on(use)


def test_many_sessions_at_once():
    async def one(number):
        async with (
            FakeTaskloader(time_scale=0) as fake,
            await Session.open(f"taskgen-{number}", fake.connect, limits=LIMITS) as session,
        ):
            for run in range(3):
                await session.prepare(taskset((number, 1, 0, 1)), [] if run else [HEY])
                assert session.start() == ()
                assert [e.task_id for e in await take(session, 3)] == [number] * 3

    async def main():
        await asyncio.gather(*(one(number) for number in range(64)))

    asyncio.run(main())


def test_an_echo_that_nobody_waits_for_is_no_event():
    async def use(session, script):
        script.transport.write(ECHO + (4).to_bytes(4, "little") + b"<p/>")
        await session.available()
        assert session.start() == ()

    scripted([ECHO], use)

"""Many who watch one serial line, which a Unix socket stands for here."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from taskgen.errors import MachineError
from taskgen.host import console_hub
from taskgen.host.console_hub import RECENT, ConsoleHub
from taskgen.host.console_viewer import BEHIND


class Line:
    """QEMU's end: serves one connection after the other, as QEMU does."""

    def __init__(self):
        self.connections = 0
        self.connected = asyncio.Event()
        self.hung_up = asyncio.Event()

    async def serve(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.connections += 1
        self.connected.set()
        await self.hung_up.wait()
        writer.close()

    async def print(self, data):
        await self.connected.wait()
        self.writer.write(data)
        await self.writer.drain()


@asynccontextmanager
async def line_and_hub(path):
    line = Line()
    server = await asyncio.start_unix_server(line.serve, path, limit=1 << 20)
    hub = ConsoleHub("taskgen-1", path)
    try:
        yield line, hub
    finally:
        hub.close()
        line.hung_up.set()
        server.close()
        await server.wait_closed()


def play(tmp_path, scene):
    async def main():
        async with asyncio.timeout(30), line_and_hub(tmp_path / "console.sock") as (line, hub):
            await scene(line, hub)

    asyncio.run(main())


async def read(viewer, size):
    data = b""
    while len(data) < size:
        data += await anext(viewer)
    return data


def test_all_who_watch_see_the_same_over_one_connection(tmp_path):
    async def scene(line, hub):
        viewers = [hub.attach() for _ in range(3)]
        await line.print(b"booting\r\n")
        for viewer in viewers:
            assert await read(viewer, 9) == b"booting\r\n"
        assert line.connections == 1

    play(tmp_path, scene)


def test_nobody_connects_where_nobody_watches_and_the_last_one_hangs_up(tmp_path):
    async def scene(line, hub):
        await asyncio.sleep(0.05)
        assert line.connections == 0
        first, second = hub.attach(), hub.attach()
        await line.print(b"x")
        assert await read(first, 1) == await read(second, 1) == b"x"
        first.close()
        first.close()
        await line.print(b"y")
        assert await read(second, 1) == b"y"
        second.close()
        assert await line.reader.read() == b""  # it has hung up
        with pytest.raises(StopAsyncIteration):
            await anext(second)

    play(tmp_path, scene)


def test_who_comes_back_is_connected_again(tmp_path):
    async def scene(line, hub):
        for number in range(1, 4):
            viewer = hub.attach()
            line.connected.clear()
            await line.connected.wait()
            await line.print(b"z")
            assert await read(viewer, 1) == b"z"
            viewer.close()
            assert line.connections == number

    play(tmp_path, scene)


def test_a_viewer_that_does_not_read_holds_up_nobody_and_is_told_what_it_missed(tmp_path):
    async def scene(line, hub):
        lazy, keen = hub.attach(), hub.attach()
        block = bytes(range(256)) * 256
        blocks = 3 * BEHIND // len(block)
        for _ in range(blocks):
            await line.print(block)  # would wait for ever if the line were not drained
            assert await read(keen, len(block)) == block
        missed = blocks * len(block) - BEHIND
        assert lazy.dropped == missed
        assert keen.dropped == 0
        notice = await anext(lazy)
        assert f"{missed} bytes were dropped" in notice.decode()
        assert await read(lazy, BEHIND) == block * (BEHIND // len(block))
        await line.print(b"and on")
        assert await read(lazy, 6) == b"and on"

    play(tmp_path, scene)


def test_what_any_viewer_types_goes_to_the_guest(tmp_path):
    async def scene(line, hub):
        one, two = hub.attach(), hub.attach()
        await one.write(b"ls\r")
        await line.connected.wait()
        await two.write(b"exit\r")
        assert await line.reader.readexactly(8) == b"ls\rexit\r"

    play(tmp_path, scene)


def test_a_guest_that_does_not_take_what_is_typed_is_waited_for_so_long_only(tmp_path, monkeypatch):
    monkeypatch.setattr(console_hub, "TAKE_S", 0.2)

    async def scene(line, hub):
        viewer = hub.attach()
        await line.connected.wait()
        line.writer.transport.pause_reading()
        with pytest.raises(
            MachineError, match=r"taskgen-1: .* not taken what was typed for 0\.2 s"
        ):
            await viewer.write(bytes(8 << 20))
        await line.print(b"still alive")  # the other way goes on
        assert await read(viewer, 11) == b"still alive"

    play(tmp_path, scene)


def test_the_end_of_qemu_ends_the_view_and_not_the_hub(tmp_path):
    async def scene(line, hub):
        viewer = hub.attach()
        await line.print(b"last words")
        line.hung_up.set()
        assert [chunk async for chunk in viewer] == [b"last words"]
        with pytest.raises(MachineError, match="its console has ended"):
            await viewer.write(b"x")
        hub.path.unlink()
        assert [chunk async for chunk in hub.attach()] == []

    play(tmp_path, scene)


def test_who_types_before_the_connection_stands_waits_for_it(tmp_path):
    async def main():
        async with asyncio.timeout(30), line_and_hub(tmp_path / "console.sock") as (line, hub):
            await hub.attach().write(b"early")
            await line.connected.wait()
            assert await line.reader.readexactly(5) == b"early"
        with pytest.raises(MachineError, match="its console has ended"):
            await hub.attach().write(b"x")

    asyncio.run(main())


@asynccontextmanager
async def line_and_hub_after(path, printed):
    async with line_and_hub(path) as (line, _):
        hub = ConsoleHub("taskgen-1", path, lambda: (len(printed), printed))
        try:
            yield line, hub
        finally:
            hub.close()


def test_who_wants_sees_first_what_was_printed_before(tmp_path):
    async def main():
        path = tmp_path / "console.sock"
        async with asyncio.timeout(30), line_and_hub_after(path, b"in the log\n# ") as (line, hub):
            first, other = hub.attach(recent=RECENT), hub.attach()
            assert await read(first, 13) == b"in the log\n# "
            await line.print(b"ls")
            assert await read(first, 2) == b"ls"
            assert await read(other, 2) == b"ls"
            late = hub.attach(recent=RECENT)
            assert await read(late, 15) == b"in the log\n# ls"
            await line.print(b"\r\n")
            assert await read(late, 2) == b"\r\n"

    asyncio.run(main())


def test_what_was_printed_before_is_bounded_and_begins_with_a_line(tmp_path):
    async def main():
        lines = b"".join(b"line %d\n" % number for number in range(10_000))
        path = tmp_path / "console.sock"
        async with asyncio.timeout(30), line_and_hub_after(path, lines) as (line, hub):
            seen = await anext(hub.attach(recent=RECENT))
            assert len(seen) <= RECENT
            assert lines.endswith(b"\n" + seen)
            keen = hub.attach()
            await line.print(lines)
            await read(keen, len(lines))
            assert await anext(hub.attach(recent=RECENT)) == seen
            end = 2 * len(lines)
            assert hub.position == end
            assert await anext(hub.attach(recent=RECENT, seen=end - 6)) == lines[-6:]

    asyncio.run(main())


def test_the_log_tells_who_types_and_how_much_and_not_what(tmp_path, caplog):
    caplog.set_level("INFO")

    async def scene(line, hub):
        typist, other = hub.attach("alice"), hub.attach("bob")
        await typist.write(b"secret")
        await typist.write(b"more")
        await line.connected.wait()
        assert await line.reader.readexactly(10) == b"secretmore"
        typist.close()
        typist.close()
        other.close()

    play(tmp_path, scene)
    assert caplog.messages == [
        "taskgen-1: alice begins to type on its console",
        "taskgen-1: alice has typed 10 bytes",
    ]


def test_the_log_tells_how_much_was_typed_also_when_qemu_ends(tmp_path, caplog):
    caplog.set_level("INFO")

    async def scene(line, hub):
        viewer = hub.attach("alice")
        await viewer.write(b"reboot\r")
        await line.connected.wait()
        assert await line.reader.readexactly(7) == b"reboot\r"
        line.hung_up.set()
        assert [chunk async for chunk in viewer] == []
        viewer.close()

    play(tmp_path, scene)
    assert caplog.messages[-1] == "taskgen-1: alice has typed 7 bytes"
    assert len(caplog.messages) == 2


def test_what_makes_a_terminal_answer_is_not_repeated(tmp_path):
    async def main():
        path = tmp_path / "console.sock"
        asks = b"\x1b[6n# \x1b[31mred\x1b[c\x1b[>0c\x1b[5n"
        async with asyncio.timeout(30), line_and_hub_after(path, asks) as (_, hub):
            assert await anext(hub.attach(recent=RECENT)) == b"# \x1b[31mred"

    asyncio.run(main())


def test_what_is_typed_by_one_who_leaves_at_once_is_taken_before_the_hub_hangs_up(tmp_path):
    async def scene(line, hub):
        viewer = hub.attach()
        await viewer.write(b"reboot\r")
        viewer.close()
        await line.connected.wait()
        assert await line.reader.read(1) == b"r"
        line.writer.write(b"still there")
        await line.writer.drain()
        assert await line.reader.read() == b"eboot\r"  # it has hung up

    play(tmp_path, scene)


def test_the_last_words_can_be_had_when_nobody_watched(tmp_path):
    said = [b"booting\n"]

    async def main():
        path = tmp_path / "console.sock"
        async with asyncio.timeout(30), line_and_hub(path) as (line, _):
            hub = ConsoleHub("taskgen-1", path, lambda: (len(said[0]), said[0]))
            viewer = hub.attach(recent=RECENT)
            assert await anext(viewer) == b"booting\n"
            await line.connected.wait()
            viewer.close()
            seen, said[0] = hub.position, b"booting\npanic\n"
            hub.close()
            assert hub.closed.is_set()
            assert hub.rest(seen) == b"panic\n"
            assert [piece async for piece in hub.attach(recent=RECENT)] == []

    asyncio.run(main())

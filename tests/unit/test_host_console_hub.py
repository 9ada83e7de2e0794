"""Many who watch one serial line. A file and a Unix socket stand for QEMU here."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from taskgen.errors import HostError, MachineError
from taskgen.host import console_keys
from taskgen.host.console import Console
from taskgen.host.console_hub import KEPT, RECENT, ConsoleHub
from taskgen.host.console_viewer import BEHIND
from taskgen.host.holes import BLOCK, punch
from taskgen.host.inotify import Inotify


class Qemu:
    """Logs what its guest prints; serves one connection after the other."""

    def __init__(self, path):
        self.log = path / "console.log"
        self.log.touch()
        self.socket = path / "console.sock"
        self.open = ExitStack()
        self.listener = self.open.enter_context(socket.socket(socket.AF_UNIX, console_keys.KIND))
        self.listener.setblocking(False)
        self.listener.bind(str(self.socket))
        self.listener.listen(1)

    def print(self, data):
        with self.log.open("ab") as log:
            log.write(data)

    async def accept(self):
        connection, _ = await asyncio.get_running_loop().sock_accept(self.listener)
        self.open.enter_context(connection)
        return connection

    def nobody_connects(self):
        with pytest.raises(BlockingIOError):
            self.listener.accept()


class Hub(ConsoleHub):
    """Closes at its end what scenes leave open."""

    def __init__(self, *args):
        super().__init__(*args)
        self.attached = []

    def attach(self, *args, **options):
        self.attached.append(super().attach(*args, **options))
        return self.attached[-1]

    async def close_all(self):
        await self.close()
        for viewer in self.attached:
            viewer.close()


async def key(connection, room=16):
    """What it reads at once for a guest with so much room."""
    return await asyncio.get_running_loop().sock_recv(connection, room)


async def keys(connection, number):
    return b"".join([await key(connection) for _ in range(number)])


def play(tmp_path, scene):
    async def main():
        qemu = Qemu(tmp_path)
        with Inotify() as inotify:
            hub = Hub("taskgen-1", qemu.socket, Console(qemu.log, inotify))
            try:
                async with asyncio.timeout(30):
                    await scene(qemu, hub)
            finally:
                qemu.open.close()
                await hub.close_all()

    asyncio.run(main())


async def read(viewer, size):
    data = b""
    while len(data) < size:
        data += await anext(viewer)
    return data


def test_all_who_watch_see_the_same_and_qemu_knows_of_none(tmp_path):
    async def scene(qemu, hub):
        viewers = [hub.attach() for _ in range(3)]
        qemu.print(b"booting\r\n")
        for viewer in viewers:
            assert await read(viewer, 9) == b"booting\r\n"
        qemu.nobody_connects()

    play(tmp_path, scene)


def test_who_looks_away_sees_no_more_and_the_others_do(tmp_path):
    async def scene(qemu, hub):
        first, second = hub.attach(), hub.attach()
        qemu.print(b"x")
        assert await read(first, 1) == await read(second, 1) == b"x"
        first.close()
        first.close()
        qemu.print(b"y")
        assert await read(second, 1) == b"y"
        with pytest.raises(StopAsyncIteration):
            await anext(first)
        assert first.position == 1

    play(tmp_path, scene)


def test_a_viewer_that_does_not_read_holds_up_nobody_and_is_told_what_it_missed(tmp_path):
    async def scene(qemu, hub):
        lazy, keen = hub.attach(), hub.attach()
        block = bytes(range(256)) * 256
        blocks = 3 * BEHIND // len(block)
        for _ in range(blocks):
            qemu.print(block)
            assert await read(keen, len(block)) == block
        assert lazy.behind == blocks * len(block)
        missed = blocks * len(block) - BEHIND
        notice = await anext(lazy)
        assert f"{missed} bytes were dropped" in notice.decode()
        assert (lazy.dropped, keen.dropped) == (missed, 0)
        assert await read(lazy, BEHIND) == block * (BEHIND // len(block))
        qemu.print(b"and on")
        assert await read(lazy, 6) == b"and on"

    play(tmp_path, scene)


def test_what_any_viewer_types_goes_to_the_guest_key_by_key_over_one_connection(tmp_path):
    async def scene(qemu, hub):
        one, two = hub.attach(), hub.attach()
        await one.write(b"ls\r")
        await two.write(b"exit\r")
        connection = await qemu.accept()
        assert await key(connection) == b"l"
        assert await keys(connection, 7) == b"s\rexit\r"
        qemu.nobody_connects()

    play(tmp_path, scene)


def test_what_qemu_sends_is_thrown_away_at_once_even_while_all_of_us_stands_still(tmp_path):
    async def scene(qemu, hub):
        await hub.attach().write(b"x")
        connection = await qemu.accept()
        for _ in range(100_000):  # without the loop; a buffer of the kernel's holds some hundred
            assert connection.send(b".") == 1

    play(tmp_path, scene)


def test_it_hangs_up_after_the_last_key_and_only_once_that_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(console_keys, "IDLE_S", 0.05)

    async def scene(qemu, hub):
        viewer = hub.attach()
        await viewer.write(b"reboot\r")
        viewer.close()
        first = await qemu.accept()
        assert await key(first) == b"r"
        await asyncio.sleep(0.2)  # it may hang up, and does so in order
        assert first.send(b"still there") == 11
        assert await keys(first, 6) == b"eboot\r"
        assert await key(first) == b""
        assert first.send(b"until we go") == 11
        first.close()
        await hub.attach().write(b"ls")
        second = await qemu.accept()
        assert await keys(second, 2) == b"ls"

    play(tmp_path, scene)


def test_a_guest_that_does_not_take_what_is_typed_is_waited_for_so_long_only(tmp_path, monkeypatch):
    monkeypatch.setattr(console_keys, "TAKE_S", 0.2)

    async def scene(qemu, hub):
        viewer = hub.attach()
        with pytest.raises(
            MachineError, match=r"taskgen-1: .* not taken what was typed for 0\.2 s"
        ):
            await viewer.write(bytes(1 << 16))
        qemu.print(b"still alive")  # the other way goes on
        assert await read(viewer, 11) == b"still alive"

    play(tmp_path, scene)


def test_much_can_be_typed_as_fast_as_the_guest_takes_it(tmp_path):
    async def scene(qemu, hub):
        text = bytes(range(256)) * 64
        writing = asyncio.create_task(hub.attach().write(text))
        assert await keys(await qemu.accept(), len(text)) == text
        await writing

    play(tmp_path, scene)


def test_the_end_ends_the_view_after_the_last_words(tmp_path):
    async def scene(qemu, hub):
        viewer = hub.attach()
        qemu.print(b"last words")
        await hub.close()
        qemu.log.unlink()
        assert [piece async for piece in viewer] == [b"last words"]
        with pytest.raises(MachineError, match="its console has ended"):
            await viewer.write(b"x")
        viewer.close()
        assert hub.rest(10) == b""
        assert hub.rest(5) == b"words"
        assert hub.rest(0) == b"last words"
        assert [piece async for piece in hub.attach(recent=RECENT)] == []

    play(tmp_path, scene)


def test_typing_at_a_qemu_that_has_gone_says_so_and_not_for_ever(tmp_path):
    async def scene(qemu, hub):
        viewer = hub.attach()
        await viewer.write(b"x")
        (await qemu.accept()).close()
        with pytest.raises(MachineError, match="its console has ended"):
            await viewer.write(b"y")
        await viewer.write(b"z")
        assert await key(await qemu.accept()) == b"z"
        qemu.listener.close()
        qemu.socket.unlink()

    play(tmp_path, scene)


def test_a_log_that_is_not_there_is_told_of(tmp_path):
    async def scene(qemu, hub):
        qemu.log.unlink()
        with pytest.raises(HostError, match="taskgen-1: its console's log cannot be read: No such"):
            hub.attach()

    play(tmp_path, scene)


def test_who_wants_sees_first_what_was_printed_before(tmp_path):
    async def scene(qemu, hub):
        qemu.print(b"in the log\n# ")
        first, other = hub.attach(recent=RECENT), hub.attach()
        assert await read(first, 13) == b"in the log\n# "
        qemu.print(b"ls")
        assert await read(first, 2) == b"ls"
        assert await read(other, 2) == b"ls"
        late = hub.attach(recent=RECENT)
        assert await read(late, 15) == b"in the log\n# ls"
        qemu.print(b"\r\n")
        assert await read(late, 2) == b"\r\n"

    play(tmp_path, scene)


def test_what_was_printed_before_is_bounded_and_begins_with_a_line(tmp_path):
    async def scene(qemu, hub):
        lines = b"".join(b"line %d\n" % number for number in range(10_000))
        qemu.print(lines)
        seen = await anext(hub.attach(recent=RECENT))
        assert len(seen) <= RECENT
        assert lines.endswith(b"\n" + seen)
        most = await read(hub.attach(recent=2 * KEPT), KEPT - 20)
        assert KEPT - 20 < len(most) <= KEPT
        assert await anext(hub.attach(recent=RECENT, seen=len(lines) - 6)) == lines[-6:]

    play(tmp_path, scene)


def test_what_the_log_has_lost_at_its_head_is_told_of_and_not_shown(tmp_path):
    async def scene(qemu, hub):
        slow, keen = hub.attach(), hub.attach()
        qemu.print(b"x" * 8 * BLOCK)
        await read(keen, 8 * BLOCK)
        punch(qemu.log, 0, 3 * BLOCK)
        assert f"{3 * BLOCK} bytes were dropped" in (await anext(slow)).decode()
        assert await read(slow, 5 * BLOCK) == b"x" * 5 * BLOCK
        qemu.print(b"\na line\n")
        punch(qemu.log, 0, 8 * BLOCK)
        assert await anext(hub.attach(recent=KEPT)) == b"a line\n"

    play(tmp_path, scene)


def test_the_log_tells_who_types_and_how_much_and_not_what(tmp_path, caplog):
    caplog.set_level("INFO")

    async def scene(qemu, hub):
        typist, other = hub.attach("alice"), hub.attach("bob")
        await typist.write(b"secret")
        await typist.write(b"more")
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

    async def scene(qemu, hub):
        viewer = hub.attach("alice")
        await viewer.write(b"reboot\r")
        await hub.close()
        assert [piece async for piece in viewer] == []
        viewer.close()

    play(tmp_path, scene)
    assert caplog.messages[-1] == "taskgen-1: alice has typed 7 bytes"
    assert len(caplog.messages) == 2


def test_what_makes_a_terminal_answer_is_not_repeated(tmp_path):
    async def scene(qemu, hub):
        qemu.print(b"\x1b[6n# \x1b[31mred\x1b[c\x1b[>0c\x1b[5n")
        assert await anext(hub.attach(recent=RECENT)) == b"# \x1b[31mred"

    play(tmp_path, scene)

"""Console output as text, its end, and waiting for it."""

import asyncio
import time

import pytest

from taskgen.host.console import Console, clean
from taskgen.host.inotify import Inotify


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\n", "plain\n"),
        (b"a\r\nb\r\n", "a\nb\n"),
        (b"\x1b[31mError: illegal WRITE\x1b[0m\r\n", "Error: illegal WRITE\n"),
        (b"\x1b[2J\x1b[1;1Hboot", "boot"),
        (b"\x1b]0;title\x07x\x1b]0;t\x1b\\y", "xy"),
        (b"\x1bcSeaBIOS \x1b(B", "SeaBIOS "),
        (b"bell\x07 nul\x00 tab\t", "bell nul tab\t"),
        (b"caf\xc3\xa9 \xff", "café \ufffd"),
        (b"\x1b[31", "31"),  # cut off: no text is lost
    ],
)
def test_clean(data, text):
    assert clean(data) == text


def with_console(path, test):
    async def main():
        with Inotify() as inotify:
            await test(Console(path, inotify))

    asyncio.run(main())


def test_tail(tmp_path):
    path = tmp_path / "console.log"
    path.write_bytes(b"".join(b"line %d\r\n\r\n" % n for n in range(20_000)))

    async def test(console):
        assert console.tail(2) == "line 19998\nline 19999"
        path.unlink()
        assert console.tail() == ""

    with_console(path, test)


def test_wait_for(tmp_path):
    path = tmp_path / "console.log"
    path.touch()

    async def test(console):
        assert not await console.wait_for(".", 0.02)
        waiter = asyncio.create_task(console.wait_for("rea.*dy", 5))
        with path.open("ab") as file:
            file.write(b"\x1b[1mre")
            file.flush()
            await asyncio.sleep(0)
            file.write(b"ally\x1b[0m rea")
            file.flush()
            await asyncio.sleep(0)
            file.write(b"dy\n")
        assert await waiter
        assert await console.wait_for("really", 0)  # what is there already counts

    with_console(path, test)


class Heard:
    """Keeps what a console tells of."""

    def __init__(self):
        self.outputs = []
        self.news = asyncio.Event()

    def __call__(self, output):
        self.outputs.append(output)
        self.news.set()

    async def until(self, end):
        async with asyncio.timeout(10):
            while not (self.outputs and self.outputs[-1].end >= end):
                self.news.clear()
                await self.news.wait()


def test_output_is_told_once_and_without_gaps_however_it_comes(tmp_path):
    path = tmp_path / "console.log"
    path.write_bytes(b"before")

    async def test(console):
        one, two = Heard(), Heard()
        stop_one = console.on_output(one)
        with path.open("ab", buffering=0) as file:
            for number in range(3000):  # as QEMU writes them
                file.write(b"x")
                if number % 500 == 0:
                    await asyncio.sleep(0.02)
                if number == 1000:
                    stop = console.on_output(two)
        await one.until(3006)
        await two.until(3006)
        for heard, start in ((one, 6), (two, 1007)):
            assert heard.outputs[0].start == start
            ends = [output.end for output in heard.outputs]
            assert [output.start for output in heard.outputs[1:]] == ends[:-1]
        assert len(one.outputs) < 100, "not each byte by itself"
        stop()
        stop()
        with path.open("ab") as file:
            file.write(b"more")
        await one.until(3010)
        assert two.outputs[-1].end == 3006
        assert console.read(3004, 4000) == b"xxmore"
        stop_one()

    with_console(path, test)


def test_output_is_told_with_the_time_at_which_it_was_written(tmp_path):
    path = tmp_path / "console.log"
    path.touch()

    async def test(console):
        heard = Heard()
        stop = console.on_output(heard)
        for text in (b"one", b"two"):
            before_ns = time.time_ns()
            with path.open("ab") as file:
                file.write(text)
            after_ns = time.time_ns()
            time.sleep(0.1)  # noqa: ASYNC251 - the loop is busy: what it is told late was not written late
            await heard.until(path.stat().st_size)
            output = heard.outputs[-1]
            tick_ns = 20_000_000  # what the kernel's clock of files may lag behind
            assert before_ns - tick_ns <= output.latest_ns <= after_ns
            assert output.earliest_ns <= output.latest_ns
        stop()

    with_console(path, test)


def test_one_who_is_told_may_look_away_at_once(tmp_path):
    path = tmp_path / "console.log"
    path.touch()

    async def test(console):
        heard = Heard()
        stops = []

        def once(output):
            heard(output)
            stops[0]()

        stops.append(console.on_output(once))
        path.write_bytes(b"one")
        await heard.until(3)
        with path.open("ab") as file:
            file.write(b"two")
        console.look()
        await asyncio.sleep(0.05)
        assert [output.end for output in heard.outputs] == [3]

    with_console(path, test)

"""Console output as text, its end, and waiting for it."""

import asyncio

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

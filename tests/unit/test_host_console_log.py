"""What is kept of consoles: boots, bounds, times, and reading it all again."""

import asyncio
import itertools
import os
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen.errors import ConfigError
from taskgen.host import console_follow, console_logs
from taskgen.host.console import Console, Output
from taskgen.host.console_boots import Boot, Limits, Why, holes_of, kept
from taskgen.host.console_follow import Wanted, read
from taskgen.host.console_logs import PROBLEM, ConsoleLogs
from taskgen.host.console_times import TimesReader, TimesWriter
from taskgen.host.holes import punch
from taskgen.host.inotify import Inotify
from taskgen.problems import Problems

MB = 1_000_000


class World:
    """A machine whose QEMU is this test."""

    def __init__(self, path, **limits):
        self.logs = ConsoleLogs(path, Limits(**limits))
        self.log = self.logs.of("taskgen-1")
        self.file = None

    @asynccontextmanager
    async def qemu(self, uuid="a", *, launch=True):
        if launch:
            self.log.begin(uuid)
        with Inotify() as inotify:
            boot = self.log.boots[-1]
            console = Console(self.log.file(boot), inotify, first=boot.kept_from)
            with self.log.file(boot).open("ab", buffering=0) as self.file:
                self.log.record(console)
                try:
                    yield console
                finally:
                    await self.log.stop()

    async def say(self, data, console):
        """Print, as a guest does, and wait until it was heard."""
        self.file.write(data)
        console.look()
        while self.log._tidying and not self.log._tidying.done():
            await asyncio.wait([self.log._tidying])

    async def text(self, **wanted):
        return b"".join([each.data + b"\n" * each.whole for each in await self.lines(**wanted)])

    async def lines(self, **wanted):
        return [line async for lines in read(self.log, Wanted(**wanted)) for line in lines]


def used(path):
    return path.stat().st_blocks * 512


sizes = st.lists(st.integers(0, 400_000), min_size=1, max_size=8)


@given(sizes, st.integers(1, 6), st.integers(100_000, 300_000))
def test_of_each_boot_the_newest_is_kept_and_no_more_than_the_limit(ends, count, limit):
    firsts = [sum(ends[:n]) for n in range(len(ends) + 1)]
    boots = [
        Boot(number=n + 1, file="boot-1.log", first=at, kept_from=at)
        for n, at in enumerate(firsts[:-1])
    ]
    found = kept(boots, Limits(boot_bytes=limit, boots=count), lambda file: firsts[-1])
    assert [boot.number for boot in found] == [boot.number for boot in boots[-count:]]
    for boot in found:
        end = firsts[boot.number]
        assert end - boot.kept_from <= limit
        assert boot.kept_from == boot.first or end - boot.kept_from >= limit * 7 // 8
    # Holes and what is kept make up the whole log, and do not meet.
    holes = [(hole.start, hole.end) for hole in holes_of(found)]
    parts = sorted(holes + [(boot.kept_from, firsts[boot.number]) for boot in found])
    assert parts[0][0] == 0
    assert parts[-1][1] == firsts[-1]
    assert all(one[1] == two[0] for one, two in itertools.pairwise(parts))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 90_000), min_size=1, max_size=25), st.data())
def test_a_log_that_is_cut_at_its_head_loses_nothing_new(tmp_path_factory, pieces, data):
    async def main():
        world = World(tmp_path_factory.mktemp("log"), boot_bytes=120_000, boots=3)
        printed = bytearray()
        first = 0
        async with world.qemu() as console:
            for number, size in enumerate(pieces):
                line = b"%08d " % number
                text = (line * (size // 9 + 1))[:size] + b"\n"
                await world.say(text, console)
                printed += text
                for _ in range(data.draw(st.integers(0, 2), label="resets")):
                    world.log.reset()  # the second one is firmware's
                    first = len(printed)
        assert len({boot.first for boot in world.log.boots}) == len(world.log.boots)
        boot = world.log.boots[-1]
        assert boot.first == first
        here = bytes(printed[first:])
        text = await world.text()
        assert here.endswith(text)
        assert len(text) >= min(len(here), 120_000 * 7 // 8 - 90_001)
        path = world.log.file(boot)
        assert path.stat().st_size == len(printed)
        assert used(path) <= 3 * (120_000 + 90_001) + 8 * 4096
        return world.log

    log = asyncio.run(main())
    # Another daemon finds the same.
    assert ConsoleLogs(log.path.parent).of("taskgen-1").boots == log.boots


def test_boots_are_numbered_for_ever_and_the_oldest_go(tmp_path):
    async def main():
        for number in range(4):
            world = World(tmp_path, boots=3)  # a daemon each
            async with world.qemu(f"uuid-{number}") as console:
                await world.say(b"launch %d\n" % number, console)
                world.log.reset()
                await world.say(b"reset %d\n" % number, console)
        assert [(b.number, b.why, b.file, b.first) for b in world.log.boots] == [
            (6, Why.RESET, "boot-5.log", 9),
            (7, Why.LAUNCH, "boot-7.log", 0),
            (8, Why.RESET, "boot-7.log", 9),
        ]
        assert await world.text(boot=6) == b"reset 2\n"
        assert await world.text(boot=-1) == b"launch 3\n"
        assert await world.text() == await world.text(boot=0) == b"reset 3\n"
        for gone in (5, 9, -3):
            with pytest.raises(ConfigError, match="is not kept"):
                await world.text(boot=gone)
        found = {file.name for file in (tmp_path / "taskgen-1").iterdir()}
        logs = {f"boot-{n}.{kind}" for n in (5, 7) for kind in ("log", "times")}
        assert found == {"boots.json", *logs}

    asyncio.run(main())


def test_nobody_but_root_reads_a_log(tmp_path):
    log = ConsoleLogs(tmp_path / "consoles").of("taskgen-1")
    path = log.begin("a")
    assert [each.stat().st_mode & 0o777 for each in (path, path.parent)] == [0o600, 0o700]


def test_what_was_printed_while_nobody_recorded_is_there_and_its_times_say_so(tmp_path):
    async def main():
        world = World(tmp_path)
        async with world.qemu() as console:
            await world.say(b"seen\n", console)
        left_ns = time.time_ns()
        path = world.log.file(world.log.boots[-1])
        await asyncio.sleep(0.1)
        with path.open("ab") as file:
            file.write(b"not seen 1\nnot seen 2\n")
        os.utime(path, ns=(left_ns + 50_000_000, left_ns + 50_000_000))
        world = World(tmp_path)
        async with world.qemu(launch=False) as console:
            await world.say(b"seen again\n", console)
        seen, *unseen, again = await world.lines()
        assert [line.text for line in (seen, *unseen, again)] == [
            *["seen", "not seen 1", "not seen 2", "seen again"]
        ]
        for line in unseen:
            assert line.earliest_ns == seen.latest_ns
            assert line.latest_ns == left_ns + 50_000_000
        assert again.earliest_ns > left_ns + 50_000_000
        # Without what was noted all that is known is when the last of it came.
        world.log.times(world.log.boots[-1]).unlink()
        for line in await world.lines():
            assert line.earliest_ns is None
            assert line.latest_ns >= again.latest_ns

    asyncio.run(main())


def test_an_index_that_is_lost_is_made_anew_from_what_there_is(tmp_path, caplog):
    async def main():
        world = World(tmp_path, boot_bytes=100_000)
        async with world.qemu() as console:
            for number in range(40_000):
                world.file.write(b"%09d\n" % number)
                if number % 1000 == 0:
                    await world.say(b"", console)
            await world.say(b"", console)
        before = await world.text()
        (tmp_path / "taskgen-1" / "boots.json").write_text("{")
        world = World(tmp_path, boot_bytes=100_000)
        assert [(b.number, b.why) for b in world.log.boots] == [(1, Why.UNKNOWN)]
        assert "the index of its boots is lost" in caplog.text
        assert await world.text() == before
        async with world.qemu("b"):
            assert world.log.boots[-1].number == 2

    asyncio.run(main())


def test_where_a_head_cannot_be_dropped_all_is_kept_and_people_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(console_logs, "can_punch", lambda path: False)

    async def main():
        world = World(tmp_path, boot_bytes=100_000)
        world.logs.problems = Problems()
        async with world.qemu() as console:
            for _ in range(50):
                await world.say(b"x" * 9_999 + b"\n", console)
            assert len(await world.text()) == 500_000
        assert [problem.key for problem in world.logs.problems.current] == [PROBLEM]

    asyncio.run(main())


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 9)), min_size=1, max_size=60))
def test_times_are_found_again_for_each_byte(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("times") / "boot-1.times"
    writer = TimesWriter(path)
    expected = []
    at, now = 0, 1000
    for size, pause in written:
        now += pause
        writer.note(Output(at, at + size, now - 1, now))
        expected += [now] * size
        at += size
        if pause == 0:  # a daemon dies, another goes on
            writer.close()
            writer = TimesWriter(path)
            assert writer.end == at
    writer.close()
    reader = TimesReader(path)
    for offset, time_ns in enumerate(expected):
        assert next(reader.spans(offset)).latest_ns == time_ns
    assert next(reader.spans(at), None) is None
    for time_ns in range(1000, now + 1):
        assert reader.since(time_ns) == next(n for n, t in enumerate(expected) if t >= time_ns)
    assert reader.since(now + 1) is None
    reader.close()


def test_old_times_are_given_back_and_the_rest_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("taskgen.host.console_times.KEPT", 1000)
    path = tmp_path / "boot-1.times"
    writer = TimesWriter(path)
    for number in range(50_000):
        writer.note(Output(number, number + 1, number + 1, number + 1))
        if writer.excess:
            writer.trim()
    writer.close()
    assert used(path) <= 2001 * 24 + 2 * 4096
    reader = TimesReader(path)
    assert next(reader.spans(49_500)).latest_ns == 49_501
    oldest = next(reader.spans(0))
    assert (oldest.earliest_ns, oldest.latest_ns) == (0, oldest.end)
    reader.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\0", b"")), max_size=20),
    st.integers(0, 25),
    st.booleans(),
)
def test_the_last_lines_are_the_end_of_all_lines(tmp_path_factory, pieces, count, ended):
    async def main():
        world = World(tmp_path_factory.mktemp("log"))
        async with world.qemu() as console:
            await world.say(b"\n".join(pieces) + b"\n" * ended, console)
            running = await world.lines(lines=count)
        every = await world.lines()
        some = await world.lines(lines=count)
        assert some == running == (every[-count:] if count else [])
        printed = b"\n".join(pieces) + b"\n" * ended
        assert await world.text() == b"\n".join(
            piece.rstrip(b"\r") for piece in printed.split(b"\n")
        )

    asyncio.run(main())


def test_the_last_lines_are_as_many_as_asked_while_the_guest_goes_on(tmp_path, monkeypatch):
    """What it prints between the look for their beginning and the reading is not asked for."""

    async def main():
        world = World(tmp_path)
        async with world.qemu() as console:
            await world.say(b"one\ntwo\n", console)
            make = console_follow.BootReader

            def later(*arguments):
                world.file.write(b"three\nfour\n")
                return make(*arguments)

            later.close = make.close
            monkeypatch.setattr(console_follow, "BootReader", later)
            assert await world.text(lines=1) == b"two\n"
            assert await world.text() == b"one\ntwo\nthree\nfour\n"

    asyncio.run(main())


def test_since_and_until_choose_over_boots(tmp_path):
    async def main():
        world = World(tmp_path)
        marks = []
        for uuid in "ab":
            async with world.qemu(uuid) as console:
                for number in range(3):
                    await world.say(b"%s %d\n" % (uuid.encode(), number), console)
                    await asyncio.sleep(0.06)
                    marks.append(time.time_ns())
                    await asyncio.sleep(0.06)
        assert await world.text(since_ns=marks[1]) == b"a 2\nb 0\nb 1\nb 2\n"
        assert await world.text(since_ns=marks[1], lines=2) == b"b 1\nb 2\n"
        assert await world.text(since_ns=marks[1], lines=4) == b"a 2\nb 0\nb 1\nb 2\n"
        assert await world.text(since_ns=marks[0], until_ns=marks[3]) == b"a 1\na 2\nb 0\n"
        assert await world.text(since_ns=marks[5]) == b""
        assert await world.text(until_ns=1) == b""

    asyncio.run(main())


def test_whoever_follows_goes_on_from_boot_to_boot(tmp_path):
    async def main():
        world = World(tmp_path)
        heard, more = [], asyncio.Event()

        async def follow(**wanted):
            async for lines in read(world.log, Wanted(follow=True, **wanted)):
                heard.extend((line.boot, line.text, line.whole) for line in lines)
                more.set()

        async def until(text, times=1):
            async with asyncio.timeout(10):
                while [each[1] for each in heard].count(text) < times:
                    more.clear()
                    await more.wait()

        async with world.qemu("a") as console:
            await world.say(b"before\n", console)
            following = asyncio.create_task(follow())
            await until("before")
            await world.say(b"login: ", console)
            await until("login: ")  # though the line has no end
            await world.say(b"me\r\n", console)
            await until("me")
            world.log.reset()
            one_boot = asyncio.create_task(follow(boot=0))
            await world.say(b"after\n", console)
            await until("after")
        async with asyncio.timeout(10):
            await one_boot
        await until("after", 2)
        async with world.qemu("b") as console:
            await world.say(b"again\n", console)
            await until("again")
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        assert [each for each in heard if each[0] == 1] == [
            *[(1, "before", True), (1, "login: ", False), (1, "me", True)]
        ]

    asyncio.run(main())


def test_whoever_goes_on_behind_a_line_misses_nothing_and_is_told_nothing_twice(tmp_path):
    async def main():
        world = World(tmp_path)
        said = [b"one\r\n", b"two\npro", b"mpt\n", b"three\n"]
        async with world.qemu("a") as console:
            for each in said[:2]:
                await world.say(each, console)
            lines = await world.lines(follow=False)
        assert [line.data for line in lines] == [b"one", b"two", b"pro"]
        ends = [(line.boot, line.end) for line in lines]
        # The next daemon: its machine is adopted only once somebody follows.
        world = World(tmp_path)
        reading = [read(world.log, Wanted(after=end, follow=True)) for end in ends]
        heard = [[] for _ in reading]
        pairs = list(zip(reading, heard, strict=True))
        with world.log.file(world.log.boots[0]).open("ab") as file:
            file.write(said[2])

        async def follow(lines, heard):
            async for some in lines:
                heard += some
                if heard and heard[-1].data == b"new":
                    return

        async with asyncio.timeout(30):
            following = [asyncio.create_task(follow(*pair)) for pair in pairs]
            await asyncio.sleep(0)
            async with world.qemu(launch=False) as console:
                await world.say(said[3], console)
                while not all(each and each[-1].data == b"three" for each in heard):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            async with world.qemu("b") as console:
                await world.say(b"new\n", console)
                await asyncio.gather(*following)
        told = [b"one", b"two", b"prompt", b"three"]
        assert [line.data for line in heard[0]] == [*told[1:], b"new"]
        assert [line.data for line in heard[1]] == [*told[2:], b"new"]
        assert [line.data for line in heard[2]] == [b"mpt", b"three", b"new"]
        for line in heard[0]:
            assert line.boot == (2 if line.data == b"new" else 1)

    asyncio.run(main())


@pytest.mark.parametrize("other", [{"lines": 5}, {"boot": 1}, {"since_ns": 1}])
def test_to_go_on_behind_a_line_is_in_place_of_other_choices(tmp_path, other):
    async def main():
        world = World(tmp_path)
        async with world.qemu() as console:
            await world.say(b"one\n", console)
        with pytest.raises(ConfigError, match="in place of"):
            await world.lines(after=(1, 0), **other)
        assert await world.text(after=(9, 0)) == b"one\n"  # of another state: from the beginning

    asyncio.run(main())


def test_one_who_reads_slowly_is_told_what_was_dropped_meanwhile(tmp_path):
    async def main():
        world = World(tmp_path, boot_bytes=200_000)
        async with world.qemu() as console:
            await world.say(b"%09d\n" % 0, console)
            reading = read(world.log, Wanted(follow=True))
            lines = await anext(reading)
            for number in range(1, 100_000):
                world.file.write(b"%09d\n" % number)
                if number % 5000 == 4999:
                    await world.say(b"", console)
            while len(lines) == 0 or lines[-1].text != "000099999":
                lines += await anext(reading)
            await reading.aclose()
        numbers = [int(line.text) for line in lines]
        (gap,) = [n for n in range(1, len(lines)) if numbers[n] != numbers[n - 1] + 1]
        assert lines[gap].dropped == (numbers[gap] - numbers[gap - 1] - 1) * 10
        assert numbers[-1] - numbers[gap] >= 17_000

    asyncio.run(main())


def test_a_long_line_is_given_in_pieces(tmp_path):
    async def main():
        world = World(tmp_path)
        async with world.qemu() as console:
            await world.say(b"x" * 50_000 + b"\nend\n", console)
        lines = await world.lines()
        assert [line.whole for line in lines] == [False, False, False, True, True]
        assert await world.text() == b"x" * 50_000 + b"\nend\n"

    asyncio.run(main())


def test_a_name_does_not_lead_out_of_the_directory(tmp_path):
    logs = ConsoleLogs(tmp_path / "consoles")
    logs.of("taskgen-1").begin("a")
    ConsoleLogs(tmp_path / "other").of("taskgen-2").begin("a")
    assert logs.find("taskgen-1") is not None
    for name in ("taskgen-2", "../other/taskgen-2", "..", "", str(Path(tmp_path / "other"))):
        assert logs.find(name) is None


def test_a_hole_is_made_once_and_the_time_of_the_file_stays(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * 20_000)
    punch(path, 0, 10_000)
    os.utime(path, ns=(1, 1))
    before = used(path)
    punch(path, 0, 10_000)
    punch(path, 4096, 8192)
    assert path.stat().st_mtime_ns == 1
    punch(path, 0, 12_288)
    assert path.stat().st_mtime_ns > 1
    assert used(path) < before <= 12_288
    assert path.read_bytes() == bytes(12_288) + b"x" * (20_000 - 12_288)
    with pytest.raises(FileNotFoundError):
        punch(tmp_path / "none", 0, 4096)


def test_what_logs_take_on_the_disk_is_told_without_what_was_dropped(tmp_path):
    logs = ConsoleLogs(tmp_path / "consoles")
    assert logs.used() == 0
    before = logs.of("taskgen-1").begin("a")
    least = logs.used()
    before.write_bytes(b"x" * 500_000)
    logs.of("taskgen-2").begin("b").write_bytes(b"x" * 100_000)
    punch(before, 0, 400_000)
    assert 200_000 <= logs.used() <= 200_000 + least + 8 * 4096

"""The console's log of real machines: whole, over daemons that die, and bounded."""

import asyncio
import os
import re
import signal
import sys
import time
from pathlib import Path

from host_tools import counting, lone_machine, shell

from taskgen.host import cleanup
from taskgen.host.console_boots import Limits, Why
from taskgen.host.console_follow import Wanted, read
from taskgen.host.console_keeping import keeping
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.inotify import Change, Inotify
from taskgen.host.qemu_start import adopt
from taskgen.host.records import state_root
from taskgen.problems import Problems

COUNTING = Path(__file__).with_name("counting_machine.py")
NAME = "counting"
PATIENCE_S = 120


async def lines_of(log, **wanted):
    return [line async for lines in read(log, Wanted(**wanted)) for line in lines]


def numbers_of(lines):
    return [int(found[1]) for line in lines if (found := re.match(r"line (\d+) \.$", line.text))]


async def counted(qemu, more):
    """Wait until the guest has printed so many lines more; the newest number."""
    [*_, last] = numbers_of(await lines_of(qemu.log, lines=3))
    assert await qemu.console.wait_for(f"line {last + more} ", PATIENCE_S)
    return last + more


async def lived_and_killed(*boot_bytes):
    """A daemon that has launched a machine, and was killed."""
    words = [str(COUNTING), NAME, str(state_root() / "machines"), *boot_bytes]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"counts\n"
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


def test_a_log_is_whole_after_the_daemon_was_killed_and_another_went_on():
    async def main():
        await lived_and_killed()
        killed_ns = time.time_ns()
        directory = FleetDirectory.adopt(NAME)
        log = directory.consoles.of("taskgen-1")
        try:
            # The guest goes on, and its log with it, though nobody is there.
            left = log.end(log.boots[-1])
            with Inotify() as inotify:
                more = asyncio.Event()
                with inotify.watch(log.file(log.boots[-1]), 0x2, more.set):
                    async with asyncio.timeout(PATIENCE_S):
                        while log.end(log.boots[-1]) < left + 1000:
                            more.clear()
                            await more.wait()
                [record] = directory.machine_records()
                async with await adopt(record, directory=directory, inotify=inotify) as qemu:
                    adopted_ns = time.time_ns()
                    last = await counted(qemu, 20)
                    lines = await lines_of(log)
            numbers = numbers_of(lines)
            assert numbers[: last + 1] == list(range(last + 1))
            assert [boot.number for boot in log.boots] == [1]
            alone = [line for line in lines if line.latest_ns - line.earliest_ns > 100_000_000]
            assert len(numbers_of(alone)) >= 30
            tick_ns = 20_000_000
            for line in alone:
                assert line.earliest_ns <= killed_ns
                assert line.latest_ns <= adopted_ns + tick_ns
            assert numbers_of(lines[-5:])[0] not in numbers_of(alone)
        finally:
            directory.close()

    asyncio.run(main())


def test_a_log_is_bounded_while_no_daemon_lives_and_the_next_one_shows_the_newest():
    async def main():
        await lived_and_killed("100000")
        directory = FleetDirectory.adopt(NAME)
        directory.consoles.limits = Limits(boot_bytes=100_000)
        logs = (directory.consoles.path / "taskgen-1").glob("boot-*.log")
        path = max(logs, key=lambda each: each.stat().st_mtime)
        with Inotify() as inotify:
            grown = asyncio.Event()
            async with asyncio.timeout(PATIENCE_S):
                with inotify.watch(path, Change.MODIFY, grown.set):
                    while (status := path.stat()).st_size < 400_000 or too_much(status):
                        grown.clear()
                        await grown.wait()
            async with keeping(directory, Problems(), keep=lambda: True) as keeper:
                # What was dropped by now is the old one's work.
                log = directory.consoles.of("taskgen-1")
                assert log.boots[-1].kept_from > 250_000
                [record] = directory.machine_records()
                async with await adopt(record, directory=directory, inotify=inotify) as qemu:
                    await qemu.qmp.execute("stop")
                    lines = [line for line in await lines_of(log) if line.whole]
                    qemu.left_running = True
        numbers = numbers_of(lines)
        assert len(numbers) == len(lines) > 1000
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert lines[-1].offset > 350_000
        directory.release()
        return keeper.process.pid

    pid = asyncio.run(main())
    removed = cleanup.down().removed
    os.waitpid(pid, 0)  # of our children: ended by us, or by itself after the last QEMU
    assert sum("(qemu-system" in line for line in removed) == 1


def too_much(status):
    return status.st_blocks * 512 > 100_000 + 2 * 4096


def test_the_log_of_a_guest_that_prints_without_end_is_bounded_and_has_the_newest(profile):
    async def main():
        async with lone_machine(counting(profile, pause=":")) as qemu:
            qemu.log._limits = lambda: Limits(boot_bytes=200_000, boots=1)
            async with asyncio.timeout(PATIENCE_S):
                while qemu.console.size < 1_000_000:
                    more = qemu.log.news
                    await more.wait()
            await qemu.qmp.execute("stop")  # else what is read is overtaken by what is dropped
            qemu.console.look()
            await qemu.log.tidy()
            boot = qemu.log.boots[-1]
            lines = [line for line in await lines_of(qemu.log) if line.whole]
            status = qemu.console.path.stat()
            assert lines[0].dropped > 500_000
            numbers = numbers_of(lines)
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert len(numbers) == len(lines)
            assert lines[-1].offset > boot.kept_from + 150_000
            assert status.st_blocks * 512 <= 200_000 + 2 * 4096

    asyncio.run(main())


def test_a_reset_begins_a_boot_in_the_same_log(profile):
    async def main():
        async with lone_machine(shell(profile, "echo here $((6*7)) I am; read x")) as qemu:
            assert await qemu.console.wait_for("here 42", PATIENCE_S)
            await qemu.qmp.execute("system_reset")
            async with asyncio.timeout(PATIENCE_S):
                while len(qemu.log.boots) < 2:
                    await qemu.log.news.wait()
                news = qemu.log.news
                while not any("here 42" in each.text for each in await lines_of(qemu.log)):
                    await news.wait()
                    news = qemu.log.news
            first, second = qemu.log.boots
            assert (first.why, second.why) == (Why.LAUNCH, Why.RESET)
            assert first.file == second.file
            for number in (1, 2):
                text = [each.text for each in await lines_of(qemu.log, boot=number)]
                assert sum("here 42" in each for each in text) == 1

    asyncio.run(main())

"""What the daemon notices of the host: disk and clock."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from taskgen.daemon import clock as clock_module
from taskgen.daemon import disk as disk_module
from taskgen.daemon.clock import ClockWatch
from taskgen.daemon.disk import DiskWatch, shortage
from taskgen.problems import Problems

LIMIT_S = 10


class FileSystem:
    """What statvfs tells of one."""

    f_frsize = 4096
    f_blocks = 1_000_000  # 4 GB

    def __init__(self, free=500_000, files=1_000_000, free_files=900_000):
        self.f_bfree, self.f_files, self.f_ffree = free, files, free_files


@pytest.mark.parametrize(
    ("file_system", "expected"),
    [
        (FileSystem(), None),
        (FileSystem(free=50_000), None),
        (FileSystem(free=49_000), "200.7 MB are left of 4096.0 MB"),
        (FileSystem(free=0), "0.0 MB are left of 4096.0 MB"),
        (FileSystem(free_files=900), "only 900 more files can be made"),
        (FileSystem(files=0, free_files=0), None),  # btrfs counts none
    ],
)
def test_a_disk_is_short_of_room_or_of_files(monkeypatch, file_system, expected):
    monkeypatch.setattr(os, "statvfs", lambda path: file_system)
    assert shortage("/") == expected


def test_a_disk_is_looked_at_again_at_once_when_something_could_not_be_written(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(disk_module, "INTERVAL_S", LIMIT_S * 10)
    found = FileSystem()
    monkeypatch.setattr(os, "statvfs", lambda path: found)

    async def main():
        problems = Problems()
        changes = asyncio.Queue()
        problems.on_change(lambda key, problem: changes.put_nowait((key, bool(problem))))
        watch = asyncio.create_task(DiskWatch(tmp_path, problems).watch())
        async with asyncio.timeout(LIMIT_S):
            await asyncio.sleep(0)
            found.f_bfree = 0
            problems.report("queue", "nothing can be kept", fatal=True)
            assert await changes.get() == ("queue", True)
            assert await changes.get() == ("disk", True)
            found.f_bfree = 500_000
            problems.clear("queue")
            assert await changes.get() == ("queue", False)
            assert await changes.get() == ("disk", False)
        watch.cancel()

    asyncio.run(main())


def test_a_clock_that_was_set_is_reported_for_a_while_and_what_depends_on_it_is_looked_at(
    monkeypatch,
):
    monkeypatch.setattr(clock_module, "TOLD_S", 0.05)

    async def main():
        problems, jumps = Problems(), []
        over = asyncio.Event()
        problems.on_change(lambda key, problem: problem or over.set())
        offset = [1000.0]
        watch = ClockWatch(problems, lambda: jumps.append(1), offset=lambda: offset[0])
        with watch.watching():
            watch.look()
            offset[0] += 0.2  # a time server corrects it
            watch.look()
            assert (problems.current, jumps) == ((), [])
            offset[0] -= 3600
            watch.look()
            assert jumps == [1]
            assert [p.text for p in problems.current] == ["the clock was set back by 3600.0 s"]
            async with asyncio.timeout(LIMIT_S):
                await over.wait()

    asyncio.run(main())


def timer_settings():
    """How the timers of this process were set."""
    for fd in os.listdir("/proc/self/fd"):
        if os.path.realpath(f"/proc/self/fd/{fd}").endswith("[timerfd]"):
            for line in Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines():
                if line.startswith("settime flags"):
                    yield line.split()[-1]


def test_the_kernel_is_asked_to_tell_and_nothing_is_left_of_that():
    async def main():
        before = len(os.listdir("/proc/self/fd"))
        watch = ClockWatch(Problems(), lambda: None)
        with watch.watching():
            watch.look()
            (settings,) = timer_settings()
            assert settings == "03"  # absolute, cancelled when the clock is set
        assert len(os.listdir("/proc/self/fd")) == before

    asyncio.run(main())


def test_a_clock_of_which_the_kernel_does_not_tell_is_looked_at_now_and_then(monkeypatch, caplog):
    def refused():
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(clock_module, "_timer_that_ends_when_the_clock_is_set", refused)
    monkeypatch.setattr(clock_module, "LOOK_INTERVAL_S", 0.01)

    async def main():
        problems, seen = Problems(), asyncio.Event()
        offset = [1000.0]
        watch = ClockWatch(problems, seen.set, offset=lambda: offset[0])
        with watch.watching():
            for text in ("forward by 60.0 s", "back by 30.0 s"):  # it goes on after the first
                offset[0] = 1060.0 if "forward" in text else 1030.0
                async with asyncio.timeout(LIMIT_S):
                    await seen.wait()
                seen.clear()
                assert [p.text for p in problems.current] == [f"the clock was set {text}"]
        assert all(each.cancelled() for each in asyncio.get_running_loop()._scheduled)

    asyncio.run(main())
    assert "Function not implemented" in caplog.text

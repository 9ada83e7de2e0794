"""The keeper of consoles: what it drops once the engine is gone, and who looks after it."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import uuid
from contextlib import asynccontextmanager, contextmanager, suppress

import pytest

from taskgen.host import console_keeping
from taskgen.host.command_lines import end_all, find, is_keeper
from taskgen.host.console_boots import Limits
from taskgen.host.console_keeping import PROBLEM, keeping
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.holes import BLOCK, start_of_kept
from taskgen.host.records import Kind
from taskgen.problems import Problems

LIMIT = 100_000
PATIENCE_S = 30


@contextmanager
def qemu(identity):
    """A process that is taken for a QEMU."""
    words = ["qemu-system-test", "-c", "input()", "-uuid", identity]
    with subprocess.Popen(words, executable=sys.executable, stdin=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("TASKGEN_RUN", str(tmp_path / "run"))
    machines = tmp_path / "state" / "machines"
    made = FleetDirectory.create("kept", kind=Kind.DAEMON, namespace="", machines=machines)
    made.consoles.limits = Limits(boot_bytes=LIMIT)
    yield made
    made.release()
    end_all(lambda argv: is_keeper(argv, made.record.id))


def keepers(directory):
    found = list(find(lambda argv: is_keeper(argv, directory.record.id)))
    for each in found:
        each.close()
    return [each.pid for each in found]


async def lives(keeper, other_than=None):
    await until(lambda: keeper.process and keeper.process.pid != other_than)
    return keeper.process.pid


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what another process does, on files and pids
            await asyncio.sleep(0.01)


@asynccontextmanager
async def left_behind(directory):
    """An engine has gone, and its machines run on."""
    async with keeping(directory, Problems(), keep=lambda: True) as keeper:
        pid = await lives(keeper)
        pidfd = os.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def used(path):
    return path.stat().st_blocks * 512


def test_what_is_kept_is_no_more_than_the_limit_and_the_newest():
    assert start_of_kept(500, 600, 100) == 500
    start = start_of_kept(0, LIMIT + 1, LIMIT)
    assert start % BLOCK == 0
    assert LIMIT * 7 // 8 <= LIMIT + 1 - start <= LIMIT * 7 // 8 + BLOCK
    assert start_of_kept(70_000, 100_000, 20_000) > 70_000
    assert start_of_kept(99_000, 100_000, 900) == 99_000  # a block is the least that can go


def test_once_the_engine_is_gone_logs_are_bounded_and_offsets_go_on(directory):
    async def main():
        identity = str(uuid.uuid4())
        log = directory.consoles.of("taskgen-1").begin(identity)
        with qemu(identity) as process:
            async with left_behind(directory) as keeper:
                said = b""
                with log.open("ab", buffering=0) as file:
                    for number in range(50):
                        file.write(piece := b"%09d\n" % number * 1000)
                        said += piece
                        if number % 10 == 9:
                            await until(lambda: used(log) <= LIMIT + BLOCK)
                content = log.read_bytes()
                assert len(content) == len(said)
                assert content[-LIMIT * 3 // 4 :] == said[-LIMIT * 3 // 4 :]
                assert set(content[: -LIMIT - BLOCK]) == {0}
                # The next engine finds out what was dropped.
                await ended_with(process, keeper)
                boot = FleetDirectory(directory.path, directory.record, []).consoles
                [found] = boot.of("taskgen-1").boots
                assert 0 < len(content) - found.kept_from <= LIMIT

    asyncio.run(main())


async def ended_with(process, keeper):
    """The keeper ends by itself, with the last QEMU."""
    assert not select.select([keeper], [], [], 0)[0]
    process.kill()
    process.wait()
    await until(lambda: select.select([keeper], [], [], 0)[0])


def test_earlier_boots_in_the_same_log_are_kept(directory):
    async def main():
        identity = str(uuid.uuid4())
        log = directory.consoles.of("taskgen-1")
        file = log.begin(identity)
        file.write_bytes(b"a" * 50_000)
        log.reset()
        with qemu(identity):
            async with left_behind(directory):
                with file.open("ab") as output:
                    output.write(b"b" * 500_000)
                await until(lambda: used(file) <= 50_000 + LIMIT + 2 * BLOCK)
                assert file.read_bytes()[:50_000] == b"a" * 50_000

    asyncio.run(main())


def reads(pid):
    """Whether it is in read(2): its program is loaded, and it waits for the engine's end."""
    with suppress(OSError), open(f"/proc/{pid}/syscall") as file:
        return file.read().startswith("0 ")
    return False


def test_while_the_engine_lives_the_keeper_drops_nothing(directory):
    async def main():
        identity = str(uuid.uuid4())
        log = directory.consoles.of("taskgen-1").begin(identity)
        with qemu(identity):
            log.write_bytes(b"x" * 500_000)
            async with keeping(directory, Problems(), keep=lambda: False) as keeper:
                pid = await lives(keeper)
                await until(lambda: reads(pid))
                assert used(log) >= 500_000
            assert keepers(directory) == []
            assert used(log) >= 500_000

    asyncio.run(main())


def test_one_that_is_killed_comes_back_and_is_told_the_limits_that_hold_now(directory):
    async def main():
        identity = str(uuid.uuid4())
        log = directory.consoles.of("taskgen-1").begin(identity)
        with qemu(identity):
            async with keeping(directory, Problems(), keep=lambda: True) as keeper:
                first = await lives(keeper)
                directory.consoles.limits = Limits(boot_bytes=20_000)
                keeper.tell(directory.consoles.limits)
                os.kill(first, signal.SIGKILL)
                second = await lives(keeper, other_than=first)
                assert keepers(directory) == [second]
            log.write_bytes(b"x" * 500_000)
            await until(lambda: used(log) <= 20_000 + 2 * BLOCK)

    asyncio.run(main())


def test_the_next_engine_ends_the_one_that_it_finds(directory):
    async def main():
        identity = str(uuid.uuid4())
        directory.consoles.of("taskgen-1").begin(identity)
        with qemu(identity):
            async with left_behind(directory) as old:
                os.kill(keepers(directory)[0], signal.SIGSTOP)  # hangs, say
                directory.adopted = True
                async with keeping(directory, Problems(), keep=lambda: False) as keeper:
                    assert select.select([old], [], [], 0)[0]
                    new = await lives(keeper)
                    assert keepers(directory) == [new]
        assert keepers(directory) == []

    asyncio.run(main())


def test_that_there_can_be_none_is_a_problem(directory, monkeypatch):
    async def main():
        problems = Problems()
        monkeypatch.setattr(console_keeping, "_RUN", "raise SystemExit('no module')")
        async with keeping(directory, problems, keep=lambda: False):
            await until(lambda: problems.current)
            [problem] = problems.current
            assert problem.key == PROBLEM
            assert "no module" in problem.text

    asyncio.run(main())


def test_it_is_small(directory):
    """What it imports is what it weighs."""
    code = console_keeping._RUN.partition("; main(")[0] + "; print(*sys.modules)"
    root = console_keeping.Path(console_keeping.taskgen.__file__).parents[1]
    words = [sys.executable, "-I", "-S", "-c", code, str(root)]
    found = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    ours = {name for name in found if name.startswith("taskgen")}
    assert ours == {
        *["taskgen", "taskgen.errors", "taskgen.host", "taskgen.host.command_lines"],
        *["taskgen.host.console_keeper", "taskgen.host.holes"],
    }
    assert not {"asyncio", "dataclasses", "pathlib", "subprocess", "typing"} & set(found)

"""Child processes: how they end, and that nothing of them stays."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from taskgen.errors import HostError, MissingToolError
from taskgen.host import command_lines
from taskgen.host.accounts import account
from taskgen.host.output import output_of
from taskgen.host.process import Exit, adopt, running, start


def test_exit_status_and_last_words():
    async def main():
        process = await start("sh", ["sh", "-c", "echo one; echo two >&2; exit 3"])
        ended = await process.wait()
        assert ended == Exit(3, "one\ntwo")
        assert str(ended) == "exit status 3: one | two"
        assert process.exit == ended
        assert await process.stop() == ended
        process.signal(signal.SIGKILL)  # nothing happens

    asyncio.run(main())


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        (Exit(0), "exit status 0"),
        (Exit(-9), "killed by SIGKILL"),
        (Exit(None), "ended with an unknown status"),
    ],
)
def test_exit_in_words(ended, text):
    assert str(ended) == text


def test_death_is_noticed_at_once():
    async def main():
        async with running("sleep", ["sleep", "60"]) as process:
            os.kill(process.pid, signal.SIGKILL)
            killed_at = time.monotonic()
            ended = await process.wait()
            assert ended.code == -9
            assert process.died_at is not None
            assert process.died_at - killed_at < 0.25

    asyncio.run(main())


STUBBORN = (
    "import os,signal,time; signal.signal(15, signal.SIG_IGN); os.write({}, b'x'); time.sleep(60)"
)


def test_stop_kills_what_ignores_sigterm():
    async def main():
        read, write = os.pipe()
        process = await start(
            "stubborn", [sys.executable, "-c", STUBBORN.format(write)], fds=[write]
        )
        os.close(write)
        assert await asyncio.to_thread(os.read, read, 1) == b"x"
        os.close(read)
        assert (await process.stop(term_s=0.1)).code == -9

    asyncio.run(main())


def test_cancellation_ends_the_child():
    async def main():
        started = asyncio.get_running_loop().create_future()

        async def work():
            async with running("sleep", ["sleep", "60"]) as process:
                started.set_result(process.pid)
                await process.wait()

        task = asyncio.create_task(work())
        pid = await started
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    asyncio.run(main())


def test_cancellation_while_starting_leaves_no_child():
    async def main():
        before = os.listdir("/proc/self/fd")
        task = asyncio.create_task(start("sleep", ["sleep", "61.25"]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert len(os.listdir("/proc/self/fd")) == len(before)

    asyncio.run(main())
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_no_descriptor_and_no_secret_reaches_the_child(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")

    with open(os.devnull, "rb") as file:
        os.set_inheritable(file.fileno(), True)
        output = asyncio.run(output_of(["sh", "-c", "ls /proc/self/fd | wc -l; env"]))
    assert output.text.splitlines()[0] == "4"  # one of them is that of ls itself
    assert "SECRET_TOKEN" not in output.text


def test_missing_program():
    with pytest.raises(MissingToolError, match="no program 'no-such-program'"):
        asyncio.run(start("x", ["no-such-program"]))


def test_unknown_user():
    with pytest.raises(HostError, match="adduser --system --group --no-create-home no-such-user"):
        account("no-such-user")


def test_short_command_has_a_limit():
    with pytest.raises(HostError, match=r"sleep 60: no end after 0.05 s"):
        asyncio.run(output_of(["sleep", "60"], timeout_s=0.05))


def test_output_goes_to_the_file(tmp_path):
    async def main():
        path = tmp_path / "log"
        path.write_text("before\n")
        async with running("sh", ["sh", "-c", "echo said"], output=path) as process:
            await process.wait()
        assert path.read_text() == "before\nsaid\n"
        assert (await process.wait()).output == "before\nsaid"

    asyncio.run(main())


def unique(argv):
    """A child with words of its own on its command line, and what tells it by them."""
    words = (*argv, f"taskgen-test-{os.getpid()}-{time.monotonic_ns()}")
    return words, lambda found: tuple(found) == words


#: A shell says when it has begun: until then the kernel may show no command line of it.
WAITS = "echo up; read -r line"


@contextmanager
def waiting(words):
    """A child that runs ``WAITS``, and has begun to wait."""
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"up\n"
        yield child


def test_a_process_of_somebody_else_is_adopted_and_its_end_told(tmp_path):
    log = tmp_path / "log"
    words, wanted = unique(["sh", "-c", f"echo last words >{log}; {WAITS}; exit 3"])

    async def main():
        process = await adopt("shell", wanted, output=log)
        assert process.pid == child.pid
        assert process.adopted
        assert process.exit is None
        child.stdin.close()
        ended = await process.wait()
        assert ended == Exit(None, "last words")
        assert str(ended) == "ended with an unknown status: last words"
        assert await adopt("shell", wanted) is None

    with waiting(words) as child:
        asyncio.run(main())


def test_an_adopted_process_is_ended():
    words, wanted = unique(["sh", "-c", WAITS])

    async def main():
        process = await adopt("shell", wanted)
        assert (await process.stop()).code is None

    with waiting(words) as child:
        asyncio.run(main())
        assert child.wait() == -signal.SIGTERM


@pytest.mark.parametrize("adopted", [True, False])
def test_a_released_process_lives_on(adopted):
    program = "import os, time; os.write({}, b'x'); time.sleep(60)"

    async def main():
        before = len(os.listdir("/proc/self/fd"))
        read, write = os.pipe()
        words, wanted = unique([sys.executable, "-c", program.format(write)])
        process = await start("python", words, fds=[write])
        os.close(write)
        assert await asyncio.to_thread(os.read, read, 1) == b"x"
        os.close(read)
        if adopted:
            first, process = process, await adopt("python", wanted)
            first.release()
        process.release()
        process.release()
        assert len(os.listdir("/proc/self/fd")) == before
        again = await adopt("python", wanted)
        assert again.pid == process.pid
        await again.stop()
        with pytest.raises(AssertionError, match="was released"):
            process.signal(signal.SIGTERM)

    asyncio.run(main())
    # It was a child of ours, so it is reaped, by the next one that is started.
    asyncio.run(output_of(["true"]))
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_number_that_has_come_to_somebody_else_is_not_taken(monkeypatch):
    """Between the look at the command line and the descriptor, another process gets the number."""
    words, wanted = unique(["sh", "-c", WAITS])
    looks = iter([words])

    with waiting(["sh", "-c", WAITS]) as other:
        real = command_lines.argv_of
        monkeypatch.setattr(
            command_lines,
            "argv_of",
            lambda pid: next(looks, real(pid)) if pid == other.pid else real(pid),
        )
        before = len(os.listdir("/proc/self/fd"))
        assert list(command_lines.find(wanted)) == []
        assert list(looks) == []  # the first look was taken in
        assert len(os.listdir("/proc/self/fd")) == before
        other.stdin.close()


def test_a_process_that_has_just_ended_is_not_taken():
    with subprocess.Popen(["sh", "-c", "exit"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
        assert command_lines.hold(child.pid, lambda argv: True) is None
    assert command_lines.hold(child.pid, lambda argv: True) is None

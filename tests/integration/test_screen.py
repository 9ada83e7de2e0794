"""A machine's console in a real screen, attached to as a user does."""

import asyncio
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from host_tools import lone_machine, shell
from terminal import Terminal

from taskgen.errors import HostError
from taskgen.host import console_keys, console_viewer
from taskgen.host.inotify import Inotify
from taskgen.host.screen import screen
from taskgen.host.screen_sessions import Session, directory, remove_dead, sessions

NAME = "taskgen-1"

#: Seconds for which a guest is not read: much longer than a busy host delays it.
HELD_S = 8.0

#: Has a guest print its clock without end, with many x.
LOOP = (
    "b=/bin/busybox; $b mkdir /proc; $b mount -t proc proc /proc; "
    "x=xxxxxxxxxx; x=$x$x$x$x$x; x=$x$x; while read up idle < /proc/uptime; do echo T $up $x; done"
)


@asynccontextmanager
async def held(name=NAME):
    """A screen."""
    with Inotify() as inotify:
        async with screen(name, inotify) as session:
            yield session


@asynccontextmanager
async def machine_in_screen(profile):
    """A machine and its screen."""
    async with lone_machine(shell(profile)) as qemu, held() as session:
        await qemu.first_output(60)
        using = asyncio.create_task(session.use(qemu.console_hub))
        try:
            yield qemu, session
        finally:
            using.cancel()
            await asyncio.wait([using])


def attached(*words):
    return Terminal.of(["screen", *(words or ("-r", NAME))])


def attached_at_last():
    """As soon as there is a screen to attach to."""
    return Terminal.of(["sh", "-c", f"until screen -r {NAME}; do :; done"])


async def has(terminal, text):
    await asyncio.to_thread(terminal.wait_for, text)


def test_a_screen_is_used_detached_killed_and_there_again(profile):
    async def main():
        async with machine_in_screen(profile) as (_, session):
            with attached() as terminal:
                terminal.type(b"echo $((6 * 7))-one\r")
                await has(terminal, "42-one")
                terminal.type(b"\x01d")
                await has(terminal, "[detached from")
                assert await asyncio.to_thread(terminal.process.wait) == 0
            with attached() as terminal:
                await has(terminal, "42-one")  # as it was left
            os.kill(session.pid, signal.SIGKILL)
            assert (await session.wait()).code == -signal.SIGKILL
        assert sessions(await directory(), NAME) == []

    asyncio.run(main())


def test_two_look_at_the_same_screen_and_see_what_either_types(profile):
    async def main():
        async with machine_in_screen(profile):
            with attached() as one:
                await has(one, "# ")
                with attached("-x", NAME) as two:
                    one.type(b"echo $((6 * 7))-one\r")
                    await has(two, "42-one")
                    two.type(b"echo $((6 * 7))-two\r")
                    await has(one, "42-two")

    asyncio.run(main())


def stamps(text):
    """The times that a guest has printed, seconds since it was started."""
    return [float(each) for each in re.findall(r"^T (\d+\.\d+) x+\r?$", text, re.MULTILINE)]


def monotonic(times):
    """Without those of which QEMU has logged a byte again: 77.81 for 7.81."""
    return [time for time, later in itertools.pairwise(times) if time <= later]


def longest_pause_s(times):
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def test_copy_mode_and_viewers_that_never_read_do_not_shift_a_guests_clock(profile, monkeypatch):
    """The guest prints its own clock without end, far more than all buffers in between hold."""
    monkeypatch.setattr(console_viewer, "BEHIND", 16 * 1024)  # a guest of TCG prints slowly

    async def main():
        async with machine_in_screen(profile) as (qemu, _):
            log = qemu.console.path

            async def printed_while(seconds):
                before = log.stat().st_size
                await asyncio.sleep(seconds)
                with log.open("rb") as file:
                    file.seek(before)
                    return file.read().decode(errors="replace")

            with attached() as terminal:
                terminal.type(LOOP.encode() + b"\r")
                await has(terminal, "x" * 50)
                free = await printed_while(HELD_S / 2)
                never_reads = qemu.console_hub.attach("somebody who never reads")
                terminal.type(b"\x01[")
                await has(terminal, "Copy mode")
                held = await printed_while(HELD_S)
                # All that is between guest and screen has long been full.
                assert never_reads.behind > console_viewer.BEHIND
                assert len(held) > len(free) / 2
                assert longest_pause_s(stamps(held)) < HELD_S / 3
                terminal.type(b"\x1b")
                await has(terminal, "bytes were dropped here")
                never_reads.close()

        # What it would be without the hub: the same measure sees a guest that is held up.
        async with lone_machine(shell(profile)) as qemu:
            await qemu.first_output(60)
            with socket.socket(socket.AF_UNIX, console_keys.KIND) as direct:
                direct.setblocking(False)
                direct.connect(str(qemu.console_hub.path))
                for key in f"{LOOP}\n".encode():
                    await asyncio.get_running_loop().sock_sendall(direct, bytes([key]))
                await asyncio.sleep(HELD_S)
            assert await qemu.console.wait_for(r"x\n(?s:.){20000}$", 60)  # it goes on
            said = qemu.console.path.read_text(errors="replace")
            assert longest_pause_s(monotonic(stamps(said))) > HELD_S / 2

    asyncio.run(main())


def test_what_a_screen_answers_by_itself_is_typed_only_while_somebody_looks(profile):
    async def main():
        async with held() as session:
            with attached_at_last() as terminal:
                await has(terminal, "looks back")
                terminal.type(b"\x01d")
                await has(terminal, "[detached from")
            keys = asyncio.create_task(session.keys())
            await session.show(b"\x1b[6n\x1b[c")
            typed = ["screen", "-S", NAME, "-X", "stuff", "ls"]
            with Terminal.of(typed) as terminal:
                await asyncio.to_thread(terminal.process.wait)
            assert await keys == b"ls"
            await session.show(b"to be seen")
            with attached() as terminal:
                await has(terminal, "to be seen")
                keys = asyncio.create_task(session.keys())
                await session.show(b"\x1b[6n")
                assert re.fullmatch(rb"\x1b\[\d+;\d+R", await keys)

    asyncio.run(main())


def test_a_session_of_the_same_name_that_is_not_ours_is_left_alone():
    async def main():
        other = await asyncio.create_subprocess_exec("screen", "-D", "-m", "-S", NAME, "cat")
        try:
            place = await directory()
            async with asyncio.timeout(60):
                while not [each for each in sessions(place, NAME) if each.alive]:
                    await asyncio.to_thread(os.sched_yield)
            with pytest.raises(HostError, match=rf"{other.pid}\.{NAME} already, .* not ours"):
                async with held():
                    pass
            assert other.returncode is None
            async with held("taskgen-11"):  # whose name only begins alike
                pass
            assert [each.pid for each in sessions(place, NAME)] == [other.pid]
        finally:
            other.terminate()
            await other.wait()

    asyncio.run(main())


def test_sockets_of_dead_sessions_are_removed_and_nothing_else(tmp_path):
    async def main():
        dead, other = tmp_path / f"1.{NAME}", tmp_path / "2.taskgen-11"
        for path in (dead, other):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.bind(str(path))
        living = tmp_path / f"3.{NAME}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.bind(str(living))
            sock.listen()
            (tmp_path / f"4.{NAME}-more").touch()
            assert remove_dead(tmp_path, NAME) == [Session(3, living)]
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
            [f"3.{NAME}", "2.taskgen-11", f"4.{NAME}-more"]
        )

    asyncio.run(main())


def test_a_screen_ends_with_the_process_that_holds_its_terminal():
    """Also if that is killed: nobody has to clean up."""
    program = (
        "import asyncio\n"
        "from taskgen.host.inotify import Inotify\n"
        "from taskgen.host.screen import screen\n"
        "async def hold():\n"
        "    with Inotify() as inotify:\n"
        f"        async with screen({NAME!r}, inotify) as session:\n"
        "            print(session.pid, flush=True)\n"
        "            await session.wait()\n"
        "asyncio.run(hold())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as holder:
        end = os.pidfd_open(int(holder.stdout.readline()))
        with attached_at_last() as terminal:
            terminal.wait_for("looks back")
            holder.kill()
            terminal.wait_for("[screen is terminating]")

    async def ended():
        done = asyncio.Event()
        asyncio.get_running_loop().add_reader(end, done.set)
        async with asyncio.timeout(60):
            await done.wait()
        asyncio.get_running_loop().remove_reader(end)
        assert sessions(await directory(), NAME) == []

    asyncio.run(ended())
    os.close(end)


def test_the_file_that_screen_reads_is_installed():
    from taskgen.host import screen as module

    assert Path(module.__file__).with_name("screenrc").is_file()

"""Those who watch a real machine's console and type on it: what that does to guest and log."""

import asyncio
import os
import signal
import time
from pathlib import Path

from host_tools import lone_machine, shell

from taskgen.host import console_keys

#: Has a guest print numbered lines without end, and nothing of what is typed meanwhile.
COUNT = (
    "/bin/busybox stty -echo; x=xxxxxxxxxx; x=$x$x$x$x; "
    "n=1; while [ ! -e /stop ]; do echo N $n $x; n=$((n + 1)); done"
)


async def said(viewer, wanted):
    text = b""
    async with asyncio.timeout(60):
        while wanted not in text:
            text += await anext(viewer)


async def connected(qemu):
    """Whether QEMU serves somebody on its serial line."""
    found = await qemu.qmp.execute("query-chardev")
    [line] = [each["filename"] for each in found if each["label"] == "console"]
    return not line.startswith("disconnected:")


async def hung_up(qemu):
    async with asyncio.timeout(60):
        while await connected(qemu):
            await asyncio.to_thread(time.sleep, 0.05)


def stand_still(seconds):
    """All of us."""
    time.sleep(seconds)


async def type_and_leave(qemu, line):
    typist = qemu.console_hub.attach()
    await typist.write(line.encode() + b"\r")
    typist.close()


def assert_each_byte_once(log):
    """Of numbered lines."""
    text = log.read_bytes()
    lines = text[text.index(b"\nN 1 ") + 1 :].split(b"\r\n")[:-1]
    assert len(lines) > 1000
    assert lines == [b"N %d %s" % (number, b"x" * 40) for number in range(1, len(lines) + 1)]


def test_several_watch_the_console_and_type(profile):
    async def main():
        async with lone_machine(shell(profile)) as qemu:
            await qemu.first_output(60)
            one, two = qemu.console_hub.attach(), qemu.console_hub.attach()
            await one.write(b"echo $((6 * 7))-one\n")
            await said(one, b"42-one")
            await said(two, b"42-one")
            one.close()
            await two.write(b"echo $((6 * 7))-two\n")
            await said(two, b"42-two")
            two.close()
            again = qemu.console_hub.attach()
            await again.write(b"echo $((6 * 7))-again\n")
            await said(again, b"42-again")
            # Whoever watches, all is logged.
            for pattern in ("42-one", "42-two", "42-again"):
                assert await qemu.console.wait_for(pattern, 10)
            qemu.process.signal(signal.SIGKILL)
            async with asyncio.timeout(10):
                assert [chunk async for chunk in again if b"42" in chunk] == []
            again.close()

    asyncio.run(main())


def processor_s(pid):
    """Seconds that a process has had of the processor: fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_qemu_does_not_know_of_those_who_watch_and_the_guest_prints_as_fast(profile):
    """By the bytes that it prints for each second that its QEMU has of the processor."""

    async def main():
        async with lone_machine(shell(profile)) as qemu:
            await qemu.first_output(60)

            async def printed():
                before, worked_s = qemu.console.size, processor_s(qemu.pid)
                await asyncio.sleep(1.5)
                assert not await connected(qemu)
                return (qemu.console.size - before) / (processor_s(qemu.pid) - worked_s)

            async def watch(viewer):
                return sum([len(chunk) async for chunk in viewer])

            await type_and_leave(qemu, COUNT)
            assert await qemu.console.wait_for(r"\nN 2 x", 60)
            assert await connected(qemu)
            await hung_up(qemu)
            most = dict.fromkeys(("nobody", "lazy", "keen"), 0)
            for _ in range(3):
                most["nobody"] = max(most["nobody"], await printed())
                lazy, keen = qemu.console_hub.attach(), qemu.console_hub.attach()
                watching = asyncio.create_task(watch(keen))
                most["keen"] = max(most["keen"], await printed())
                keen.close()
                assert await watching > 0
                most["lazy"] = max(most["lazy"], await printed())
                lazy.close()
            assert_each_byte_once(qemu.console.path)
            return most

    most = asyncio.run(main())
    assert most["keen"] > most["nobody"] * 0.75
    assert most["lazy"] > most["nobody"] * 0.75


def test_typing_at_a_guest_that_prints_doubles_no_byte_of_its_log_and_stops_nothing(
    profile, monkeypatch
):
    """Neither while we are stuck, nor when we hang up in the midst of a line."""
    monkeypatch.setattr(console_keys, "IDLE_S", 0.05)
    connect, connections = console_keys._connection, []

    def counted(path):
        connections.append(path)
        return connect(path)

    monkeypatch.setattr(console_keys, "_connection", counted)

    async def main():
        async with lone_machine(shell(profile)) as qemu:
            await qemu.first_output(60)
            await type_and_leave(qemu, COUNT)
            assert await qemu.console.wait_for(r"\nN 2 x", 60)
            typist = qemu.console_hub.attach()
            for _ in range(40):
                await typist.write(b"typed")
                await hung_up(qemu)
            for _ in range(4):
                await typist.write(b"typed")
                before = qemu.console.size
                stand_still(1.5)
                assert qemu.console.size > before + 10_000
            typist.close()
            await hung_up(qemu)
            assert len(connections) > 20
            assert_each_byte_once(qemu.console.path)

    asyncio.run(main())

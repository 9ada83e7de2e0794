"""Listeners of the event stream, in a process of their own.

``python -m benchmarks.tools.listeners SOCKET QUICK SLOW``: so many that read, and so many that ask
and then read nothing. Tells ``ready`` when all are connected; when its standard input ends, it goes
on until nothing has come for a second, and tells for each quick one ``[finished, resyncs]``.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taskgen import assets

#: Seconds of silence after which everything has been told.
SILENCE_S = 1.0

REQUEST = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


class Listeners:
    """Those of another process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def heard(self) -> list[tuple[int, int]]:
        """End them; of each quick one how many runs it was told to have finished, and how often
        that it has missed something."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        return [(finished, resyncs) for finished, resyncs in json.load(self._process.stdout)]


@contextmanager
def listeners(path: Path, quick: int, slow: int) -> Iterator[Listeners]:
    """So many of them, while in the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tools.listeners", str(path), str(quick), str(slow)],
        cwd=assets.root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the listeners did not start: status {process.wait()}")
        yield Listeners(process)


class _Listener:
    def __init__(self) -> None:
        self.finished = self.resyncs = 0
        self._end = b""

    async def connect(self, path: str) -> None:
        self.reader, self.writer = await asyncio.open_unix_connection(path, limit=2**20)
        self.writer.write(REQUEST)
        await self.reader.readuntil(b"\r\n\r\n")

    async def listen(self) -> None:
        while piece := await self.reader.read(2**20):
            # Whole lines only: what is searched for may be cut in two.
            text, _, self._end = (self._end + piece).rpartition(b"\n")
            self.finished += text.count(b"event: run.finished")
            self.resyncs += text.count(b"event: resync")

    @property
    def total(self) -> int:
        return self.finished + self.resyncs


async def _listen(path: str, quick: int, slow: int) -> None:
    fast = [_Listener() for _ in range(quick)]
    for each in fast:
        await each.connect(path)
    idle = [socket.socket(socket.AF_UNIX) for _ in range(slow)]
    for sock in idle:
        sock.connect(path)
        sock.sendall(REQUEST)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.listen()) for each in fast]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        before = -1
        while (now := sum(each.total for each in fast)) != before:
            before = now
            await asyncio.sleep(SILENCE_S)
        for task in tasks:
            task.cancel()
    print(json.dumps([(each.finished, each.resyncs) for each in fast]), flush=True)
    for each in fast:
        each.writer.close()
    for sock in idle:
        sock.close()


if __name__ == "__main__":
    asyncio.run(_listen(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))

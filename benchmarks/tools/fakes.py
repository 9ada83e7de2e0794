"""Taskloader servers in a process of their own.

``python -m benchmarks.tools.fakes NUMBER [TIME_SCALE]``: listens on ``127.0.1.1`` and the addresses
that follow, tells the port, which is the same on all, and goes when its standard input ends.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

from taskgen import assets
from taskgen.testing import FakeTaskloader

FIRST = IPv4Address("127.0.1.1")


@dataclass(frozen=True)
class Servers:
    """Where they listen."""

    addresses: list[IPv4Address]
    port: int


@contextmanager
def fakes(number: int, time_scale: float = 0.0) -> Iterator[Servers]:
    """So many servers, while in the block.

    :param time_scale: seconds that a second of a run takes; 0: runs end at once.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tools.fakes", str(number), str(time_scale)],
        cwd=assets.root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:  # leaving it closes the pipes, which ends it, and waits
        assert process.stdout
        port = process.stdout.readline()
        if not port:
            raise RuntimeError(f"the fakes did not start: status {process.wait()}")
        yield Servers([FIRST + offset for offset in range(number)], int(port))


async def _serve(number: int, time_scale: float) -> None:
    async with AsyncExitStack() as stack:
        port = 0
        for offset in range(number):
            server = FakeTaskloader(host=str(FIRST + offset), port=port, time_scale=time_scale)
            await stack.enter_async_context(server)
            port = server.port
        print(port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))

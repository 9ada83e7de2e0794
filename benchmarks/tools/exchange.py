"""The floor of ``engine.py``: the bytes of a run, by asyncio's streams and nothing else.

The descriptions are made before anything is measured, and what the target tells is not looked into:
a run has ended when ``JOBS_DONE`` has come as often as there are tasks.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from taskgen.protocol import Binary

AVAILABLE = struct.pack("<I", 0xAAAAA)
CLEAR = struct.pack("<I", 0xDE6)
START = struct.pack("<I", 0x514DE5)
DONE = b"JOBS_DONE"


@dataclass
class BareClient:
    """One connection to one target."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def over(cls, sock: socket.socket) -> Self:
        """Over a socket that is connected."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(*await asyncio.open_connection(sock=sock))

    async def upload(self, binary: Binary) -> None:
        """Send a task binary."""
        self.writer.write(struct.pack("<II", 0xDE5F11E, 1))
        await self.reader.readexactly(4)  # GO_SEND
        name = binary.name.encode("ascii")
        self.writer.write(struct.pack("<16sI", name, len(binary.content)) + binary.content)
        await self.writer.drain()

    async def run(
        self, description: bytes, tasks: int, *, on_start: Callable[[], None] = lambda: None
    ) -> None:
        """Carry out one run.

        :param tasks: how many the description holds.
        :param on_start: called when ``START`` is sent.
        """
        size = struct.pack("<II", 0xDE5, len(description))
        self.writer.write(CLEAR + size + description + AVAILABLE)
        while await self.reader.readexactly(4) != AVAILABLE:
            raise RuntimeError("what comes here belongs to the last run")
        self.writer.write(START)
        on_start()
        done = 0
        while done < tasks:
            (length,) = struct.unpack("<I", await self.reader.readexactly(4))
            done += (await self.reader.readexactly(length)).count(DONE)

    async def close(self) -> None:
        """End the connection."""
        self.writer.close()
        await self.writer.wait_closed()


async def connected(address: str, port: int) -> socket.socket:
    """A socket to where the caller is."""
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (address, port))
    return sock


async def work_off(
    clients: Sequence[BareClient], descriptions: Sequence[bytes], tasks: int
) -> None:
    """Give each client one run after the other, until all are through."""
    rest = iter(descriptions)

    async def serve(client: BareClient) -> None:
        for description in rest:
            await client.run(description, tasks)

    await asyncio.gather(*(serve(client) for client in clients))

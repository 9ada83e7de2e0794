"""An engine that is killed: works off the job in a queue's file, and notes what it was told.

``python killed_engine.py QUEUE BINARIES ACKNOWLEDGED PORT…``; see ``killing.py``.
"""

from __future__ import annotations

import asyncio
import os
import sys
from ipaddress import IPv4Address
from pathlib import Path
from types import SimpleNamespace

from taskgen.audience import Audience
from taskgen.binaries import Binaries
from taskgen.board import Board, BoardKind
from taskgen.engine import Engine
from taskgen.events.handler import EventHandler
from taskgen.queue import JobQueue
from taskgen.settings import HostSettings


class Acknowledged(EventHandler):
    """One line for each result that it was told."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def on_finish(self, run):
        assert run.outcome is not None
        assert run.outcome.failure is None, run.outcome.reason
        os.write(self.file, f"{run.id}\n".encode())

    def close(self):
        os.close(self.file)


async def main(queue_path, binaries, acknowledged, ports):
    async with JobQueue.open(Path(queue_path)) as queue:
        print("open", flush=True)
        engine = Engine(queue, Audience([Acknowledged(acknowledged)]))
        async with asyncio.TaskGroup() as group:
            for port in ports:
                group.create_task(serve(engine, port, Binaries([Path(binaries)], "x86_64")))
        await engine.close()
        print("done", flush=True)


async def serve(engine, port, binaries):
    settings = HostSettings(port=port, answer_s=30.0, connect_s=30.0, first_contact="trust")
    kind = BoardKind(
        profile=SimpleNamespace(name="linux-x86_64"), binaries=binaries, settings=settings
    )
    board = await Board.find(f"board-{port}", IPv4Address("127.0.0.1"), kind)
    assert isinstance(board, Board), board
    try:
        await engine.serve(board, asyncio.Event())
    finally:
        await board.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], [int(port) for port in sys.argv[4:]]))

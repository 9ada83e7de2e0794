"""The process that boots bare QEMUs, seen from a script: ``bare.py`` is what runs in it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.tools.storm import Boot
from taskgen import assets


class Floor:
    """The process that boots bare QEMUs. Made by :func:`bare`."""

    def __init__(self, process: subprocess.Popen[str], at_once: int) -> None:
        self._process = process
        self._at_once = at_once

    async def boot(self, machines: int) -> Boot:
        """Boot so many until all have answered, and end them."""
        return await asyncio.to_thread(self._boot, machines)

    def _boot(self, machines: int) -> Boot:
        assert self._process.stdin
        assert self._process.stdout
        print(machines, self._at_once, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the floor ended: status {self._process.wait()}")
        return Boot(**json.loads(answer))


@contextmanager
def bare(profile: str, accelerator: str, at_once: int) -> Iterator[Floor]:
    """What boots bare QEMUs, with its network, while in the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.tools.bare", profile, accelerator],
        cwd=assets.root(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:  # leaving it closes the pipes, which ends it, and waits
        try:
            yield Floor(process, at_once)
        except BaseException:
            process.terminate()  # it may have minutes of boots before it
            raise

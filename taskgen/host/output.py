"""Short commands, run to their end for what they say."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from taskgen.errors import HostError
from taskgen.host.process import Exit, running


@dataclass(frozen=True)
class Output:
    """What a short command has said: its exit and all that it wrote."""

    exit: Exit
    text: str


async def output_of(argv: Sequence[str], *, timeout_s: float = 10.0) -> Output:
    """Run a short command to its end.

    :raises MissingToolError: if there is no such program.
    :raises HostError: if it takes longer than ``timeout_s``.
    """
    sink = os.memfd_create("output")
    try:
        async with running(argv[0], argv, output=sink) as process:
            try:
                async with asyncio.timeout(timeout_s):
                    ended = await process.wait()
            except TimeoutError as error:
                raise HostError(f"{shlex.join(argv)}: no end after {timeout_s:g} s") from error
        return Output(ended, os.pread(sink, 1 << 20, 0).decode(errors="replace"))
    finally:
        os.close(sink)

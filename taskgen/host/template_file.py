"""A template in a file: a line of JSON, then what it tells of. Blocking; no asyncio.

First the parts of the guest's memory that are not zero, then the state of its devices. Whether a
file is what was written is told by a checksum beside it: :mod:`taskgen.host.snapshot_store`.
"""

from __future__ import annotations

import json
from typing import IO, Any

from taskgen.host.memory_file import MemoryFile

#: Longest first line: it tells where each of the parts lies.
_HEAD_BYTES = 4 << 20


def write(file: int, memory: MemoryFile, state: MemoryFile) -> None:
    """Write a template to an open file that is empty.

    :raises OSError: if it cannot be written.
    """
    device_state = state.read()
    extents = [[offset, len(data)] for offset, data in memory.parts()]
    head = {"memory": memory.size, "extents": extents, "state": len(device_state)}
    with open(file, "wb", closefd=False) as content:
        content.write(json.dumps(head).encode() + b"\n")
        for _, data in memory.parts():
            content.write(data)
        content.write(device_state)


def read(file: int, memory: MemoryFile, state: MemoryFile) -> None:
    """Read a template into memory files that are empty.

    :raises ValueError: if it is not one, or for another size of memory.
    :raises OSError: if it cannot be read.
    """
    with open(file, "rb", closefd=False) as content:
        content.seek(0)
        head = _head(content)
        if head["memory"] != memory.size:
            raise ValueError(f"it is for {head['memory']} bytes of memory, not {memory.size}")
        for offset, length in head["extents"]:
            memory.write(offset, _exactly(content, length))
        state.write(0, _exactly(content, head["state"]))


def _head(content: IO[bytes]) -> dict[str, Any]:
    head = json.loads(content.readline(_HEAD_BYTES))
    if not isinstance(head, dict) or not {"memory", "extents", "state"} <= head.keys():
        raise ValueError("its first line does not tell what it is")
    return head


def _exactly(content: IO[bytes], length: int) -> bytes:
    data = content.read(length)
    if len(data) != length:
        raise ValueError("it is cut short")
    return data

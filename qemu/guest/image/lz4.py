"""LZ4, the legacy frame that the kernel build uses. Python's library has no decoder for it."""

from __future__ import annotations

import struct

MAGIC = 0x184C2102


def decompress_legacy(data: bytes) -> bytes:
    """Blocks, each with its compressed size before it, until the end of the data."""
    output = bytearray()
    position = 0
    while position + 4 <= len(data):
        (size,) = struct.unpack_from("<I", data, position)
        position += 4
        if size == MAGIC:  # at the beginning, and where files were joined
            continue
        _block(data, position, position + size, output)
        position += size
    return bytes(output)


def _block(data: bytes, position: int, end: int, output: bytearray) -> None:
    """Append what one block stands for: literals, and copies of what came shortly before."""
    block_begin = len(output)
    while position < end:
        token = data[position]
        position += 1
        literals = token >> 4
        if literals == 15:
            literals, position = _longer(data, position, literals)
        output += data[position : position + literals]
        position += literals
        if position >= end:  # the last sequence has no copy
            return
        distance = data[position] | data[position + 1] << 8
        position += 2
        length = token & 15
        if length == 15:
            length, position = _longer(data, position, length)
        length += 4
        start = len(output) - distance
        if distance == 0 or start < block_begin:
            raise ValueError("damaged LZ4 block")
        if distance >= length:
            output += output[start : start + length]
        else:  # the copy overlaps itself: it repeats its beginning
            pattern = output[start:]
            output += (pattern * (length // distance + 1))[:length]


def _longer(data: bytes, position: int, length: int) -> tuple[int, int]:
    """A length that goes on in the bytes that follow, as long as they are 255."""
    while True:
        byte = data[position]
        position += 1
        length += byte
        if byte != 255:
            return length, position

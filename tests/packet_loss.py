"""Loses packets of a device, in both directions: a small eBPF program on its traffic.

``tc`` has ``netem`` for that, which not every kernel has.
"""

from __future__ import annotations

import ctypes
import os
import struct

from pyroute2 import IPRoute

_BPF, _PROG_LOAD, _SCHED_CLS = 321, 5, 3  # x86_64; linux/bpf.h
_OK, _SHOT = 0, 2  # TC_ACT_*, linux/pkt_cls.h
_DIRECTIONS = ("ffff:fff2", "ffff:fff3")  # of clsact: from and to the device


def lose_packets(device: str, share: float) -> None:
    """Lose a share of the packets, 0 to 1, of a device of this namespace, for as long as it is."""
    program = _load(_program(share))
    try:
        with IPRoute() as ipr:
            index = ipr.link_lookup(ifname=device)[0]
            ipr.tc("add", "clsact", index)
            for parent in _DIRECTIONS:
                ipr.tc(
                    "add-filter",
                    "bpf",
                    index,
                    ":1",
                    fd=program,
                    name="loss",
                    parent=parent,
                    direct_action=True,
                )
    finally:
        os.close(program)


def _program(share: float) -> bytes:
    """Draws a number of 32 bits, and drops the packet if it is too small."""
    lost = [_instruction(0xB7, imm=_SHOT), _instruction(0x95)]  # r0 = …; exit
    if share >= 1:
        return b"".join(lost)
    draw = _instruction(0x85, imm=7)  # r0 = get_prandom_u32()
    compare = _instruction(0xA6, offset=2, imm=int(share * 2**32))  # if w0 < … skip two
    return b"".join([draw, compare, _instruction(0xB7, imm=_OK), _instruction(0x95), *lost])


def _instruction(code: int, *, offset: int = 0, imm: int = 0) -> bytes:
    return struct.pack("<BBhI", code, 0, offset, imm)


def _load(program: bytes) -> int:
    instructions = ctypes.create_string_buffer(program)
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = ctypes.create_string_buffer(
        struct.pack(
            "<IIQQIIQI",
            _SCHED_CLS,
            len(program) // 8,
            ctypes.addressof(instructions),
            ctypes.addressof(licence),
            0,
            0,
            0,
            0,
        ),
        128,
    )
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(_BPF, _PROG_LOAD, attributes, 128)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "the program cannot be loaded")
    return int(descriptor)

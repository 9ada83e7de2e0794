"""What is typed on a guest's serial line: the one connection to its QEMU, and nothing comes back.

What the guest prints is in the log. A connected QEMU hands it over as well, byte by byte; while one
is not taken it has the guest wait, and logs the byte again with each try. So there is a connection
only while somebody types, and on it a filter: the kernel throws away what QEMU sends, without a
buffer that could be full, even while all of us is stopped.

Filters are for sockets that keep messages apart. So each key is a message: QEMU reads as many bytes
as its guest has room for, and would lose the rest of a longer one.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import socket
import struct
from pathlib import Path

from taskgen.errors import MachineError
from taskgen.host.waiting import finish

log = logging.getLogger(__name__)

#: The kind of socket that QEMU has to listen on.
KIND = socket.SOCK_SEQPACKET

#: Seconds for a guest to take a key: its line takes a few of them.
TAKE_S = 5.0

#: Seconds after the last key until we hang up.
IDLE_S = 1.0

#: Seconds for a guest to take what it has not, when we have to go.
LEAVE_S = 1.0

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h
_RETURN = 0x06  # linux/bpf_common.h: BPF_RET | BPF_K; how much of a message is kept


class Keyboard:
    """Types on the line of one machine.

    :param name: the machine's, for messages.
    :param path: the Unix socket on which its QEMU listens.
    """

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._turn = asyncio.Lock()
        self._line: socket.socket | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._closed = False

    async def type(self, keys: bytes) -> None:
        """Type; returns when QEMU has the keys, or will have them before anything else.

        :raises MachineError: if the guest takes none for :data:`TAKE_S`, or QEMU has ended.
        """
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            try:
                line = await self._connected()
                for key in keys:
                    if self._closed:
                        raise self._ended()
                    await _send(line, bytes([key]))
            except (TimeoutError, BlockingIOError) as error:
                raise MachineError(
                    f"{self._name}: its console has not taken what was typed for {TAKE_S:g} s",
                    hint="the guest may not read its serial line",
                ) from error
            except OSError as error:
                log.debug("%s: its console cannot be typed on: %s", self._name, error)
                self._drop()
                raise self._ended() from error
            finally:
                loop = asyncio.get_running_loop()
                self._idle = loop.call_later(IDLE_S, self._hang_up)

    async def close(self) -> None:
        """Type no more; the guest gets :data:`LEAVE_S` to take what was typed. Again as well."""
        self._closed = True
        await finish(self._close())

    async def _close(self) -> None:
        async with self._turn:
            if self._idle is not None:
                self._idle.cancel()
            self._hang_up()
        if self._leaving is not None:
            await asyncio.wait([self._leaving], timeout=LEAVE_S)
            self._leaving.cancel()
            await asyncio.wait([self._leaving])

    async def _connected(self) -> socket.socket:
        if self._leaving is not None:  # QEMU serves one after the other
            async with asyncio.timeout(TAKE_S):
                await asyncio.shield(self._leaving)
        if self._closed:
            raise self._ended()
        if self._line is None:
            self._line = _connection(self._path)
        return self._line

    def _hang_up(self) -> None:
        """Once QEMU has read all the keys, and that no more will come.

        If it found us gone before, it would forget those that its guest has not taken, and log a
        byte twice that is just being printed.
        """
        line, self._line = self._line, None
        if line is not None:
            self._leaving = asyncio.create_task(_left(line), name=f"{self._name}: console")

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _ended(self) -> MachineError:
        return MachineError(f"{self._name}: its console has ended")


def _connection(path: Path) -> socket.socket:
    """Never waits: QEMU accepts it when it can.

    :raises OSError: if nobody listens there.
    """
    line = socket.socket(socket.AF_UNIX, KIND)
    try:
        line.setblocking(False)
        _take_nothing(line)
        line.connect(os.fspath(path))
    except BaseException:
        line.close()
        raise
    return line


def _take_nothing(line: socket.socket) -> None:
    nothing = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
    program = struct.pack("HP", 1, ctypes.addressof(nothing))
    line.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


async def _send(line: socket.socket, key: bytes) -> None:
    try:
        line.send(key)
    except BlockingIOError:
        async with asyncio.timeout(TAKE_S):
            await asyncio.get_running_loop().sock_sendall(line, key)


async def _left(line: socket.socket) -> None:
    try:
        line.shutdown(socket.SHUT_WR)
        while await asyncio.get_running_loop().sock_recv(line, 1):
            pass
    except OSError as error:  # it had ended
        log.debug("the console has gone: %s", error)
    finally:
        line.close()

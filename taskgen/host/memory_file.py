"""A guest's memory as an anonymous file: many QEMUs may map it, and none can change it once sealed.

It has no name: who is given its descriptor can open it, and nobody else. QEMU opens what it maps
for reading and writing, also where it writes to a copy of its own; a file on disk that the QEMU
user may write to could be changed by any guest that got out of its QEMU, for all others.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

_CHUNK = 1 << 20


class MemoryFile:
    """``size`` bytes of zeros at first. Lives until :meth:`close`, and where it is mapped.

    :ivar path: by which a child opens it that inherits :attr:`fd`.
    """

    def __init__(self, name: str, size: int) -> None:
        self.size = size
        self.fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size)

    @property
    def path(self) -> str:
        return f"/proc/self/fd/{self.fd}"

    def seal(self) -> None:
        """From now on nobody can change it.

        :raises OSError: if somebody still has it mapped for writing.
        """
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS)

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """What is in it: offsets and bytes, without the holes. Blocks."""
        end = 0
        while end < self.size:
            try:
                start = os.lseek(self.fd, end, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole is left
                return
            end = os.lseek(self.fd, start, os.SEEK_HOLE)
            for offset in range(start, end, _CHUNK):
                yield offset, os.pread(self.fd, min(_CHUNK, end - offset), offset)

    def read(self) -> bytes:
        """All of it, as long as it is now. Blocks."""
        with open(self.path, "rb") as file:
            return file.read()

    def write(self, offset: int, data: bytes) -> None:
        """Put bytes into it. Blocks."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self.fd, rest, offset)
            offset += written
            rest = rest[written:]

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Another descriptor of it, which begins at its start; open while in the block."""
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close it; may be called again."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

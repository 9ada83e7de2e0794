"""A file of lines that is only ever added to, by one process at a time, in whole batches."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from taskgen.errors import ConfigError, HostError


class AppendFile:
    """An open file of lines. Nobody else can have it open in this way at the same time.

    What a crash may have torn, a last line without its end, is gone once it is open.

    :param path: created if it does not exist.
    :raises HostError: if another process, or another handler of this one, writes to it.
    :raises OSError: if it cannot be opened.
    :ivar cut: bytes of a torn line that were cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open_locked(path)
        try:
            self.size = os.fstat(self._file).st_size
            self.cut = self.size - self._end_of_last_line()
            self.truncate(self.size - self.cut)
        except BaseException:
            os.close(self._file)
            raise

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Each line with its end, and the offset at which it begins."""
        offset = 0
        with open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            for line in file:
                yield offset, line
                offset += len(line)

    def append(self, data: bytes) -> None:
        """Add whole lines: all of them, or none if that fails.

        :raises OSError: if the disk is full, or fails.
        """
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError:
            self.truncate(self.size)
            raise
        self.size += len(data)

    def truncate(self, size: int) -> None:
        """Cut off what stands behind ``size``."""
        os.ftruncate(self._file, size)
        self.size = size

    def rewrite(self, batches: Iterable[bytes]) -> None:
        """Put another content into its place, in one step: a crash leaves the old or the new.

        :raises OSError: if the disk is full, or fails; the old content is kept.
        """
        with tempfile.NamedTemporaryFile(
            "wb", dir=self.path.parent, prefix=f".{self.path.name}.", delete=False
        ) as new:
            try:
                # A second descriptor of the same open file keeps the lock when ``new`` is closed.
                file = os.dup(new.fileno())
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    new.writelines(batches)
                    new.flush()
                    os.fsync(file)
                    os.fchmod(file, os.fstat(self._file).st_mode & 0o777)
                    os.replace(new.name, self.path)
                except BaseException:
                    os.close(file)
                    raise
            except BaseException:
                os.unlink(new.name)
                raise
        fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
        os.close(self._file)
        self._file, self.size = file, os.fstat(file).st_size

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fsync(self._file)

    def close(self) -> None:
        """Let others have it; what was added is on the disk then."""
        try:
            self.sync()
        finally:
            os.close(self._file)

    def _end_of_last_line(self) -> int:
        position = self.size
        while position:
            step = min(position, 4096)
            found = os.pread(self._file, step, position - step).rfind(b"\n")
            if found >= 0:
                return position - step + found + 1
            position -= step
        return 0


def check(path: Path) -> None:
    """Find out now whether :class:`AppendFile` would fail later; creates nothing.

    :raises ConfigError: saying why the file cannot be written.
    """
    try:
        if path.exists():
            with path.open("rb+"):
                return
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _open_locked(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    while True:
        file = os.open(path, flags, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever had it may have put another file into its place meanwhile.
            if os.path.samestat(os.fstat(file), os.stat(path)):
                return file
        except BlockingIOError as error:
            os.close(file)
            raise HostError(
                f"{path}: somebody else writes to it", hint="give each its own file"
            ) from error
        except FileNotFoundError:  # removed meanwhile: make it anew
            pass
        except BaseException:
            os.close(file)
            raise
        os.close(file)

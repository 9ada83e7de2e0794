"""Task binaries that were uploaded, each under the hash of its content. Blocking; no asyncio."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskgen.binaries import ARCHITECTURES, SHA256, check_elf, elf_architecture
from taskgen.errors import BinaryError, HostError, UploadMissingError
from taskgen.whole_file import whole_file

log = logging.getLogger(__name__)

#: Bytes that a binary may have.
MAX_BYTES = 64 * 2**20

#: Seconds that one is kept which no job names: it is uploaded before its job is added.
GRACE_S = 3600.0

#: Bytes of binaries that are kept in memory, so that not each run reads its own again.
CACHE_BYTES = 64 * 2**20

_NEW = ".new-"


@dataclass(frozen=True, slots=True)
class StoredBinary:
    """An uploaded binary.

    :ivar size: bytes.
    :ivar architecture: a key of :data:`taskgen.binaries.ARCHITECTURES`.
    """

    sha256: str
    size: int
    architecture: str


class BinaryStore:
    """A directory of files that are named by the SHA-256 of what is in them.

    A file is there whole or not at all, and never changes. May be used from several threads, by one
    process.

    :param directory: made if it does not exist; nobody else can look into it.
    :param max_bytes: that a binary may have.
    :param grace_s: seconds that one is kept which no job names.
    :param clock: seconds since the epoch.
    :raises HostError: if the directory cannot be made.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int = MAX_BYTES,
        grace_s: float = GRACE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.directory = directory
        self.max_bytes = max_bytes
        self._grace_s = grace_s
        self._clock = clock
        self._lock = threading.Lock()  # of sweep() against whoever relies on what is there
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            directory.chmod(0o700)
        except OSError as error:
            raise HostError(f"{directory}: no place for task binaries: {error.strerror}") from error

    def put(self, sha256: str, content: bytes, *architectures: str) -> bool:
        """Keep a binary. What is there already is kept for longer.

        :param sha256: of the content.
        :param architectures: it must be for one of these; any that Taskgen knows if there is none.
        :returns: whether it was not there before.
        :raises BinaryError: if it is too large, something else than its hash says, or not for the
            architecture; nothing is kept then.
        :raises HostError: if it cannot be written.
        """
        name = f"task binary {sha256}"
        if len(content) > self.max_bytes:
            raise BinaryError(
                f"{name}: has {len(content)} bytes, {self.max_bytes} are allowed",
                hint="strip it of what it needs only for debugging",
            )
        found = hashlib.sha256(content).hexdigest()
        if not SHA256.fullmatch(sha256) or found != sha256:
            raise BinaryError(f"{name}: the SHA-256 of its content is {found}")
        check_elf(content, *(architectures or ARCHITECTURES), source=name)
        try:
            with self._lock:
                if self._is_whole(sha256, content):
                    self._use(sha256)
                    return False
                self._write(sha256, content)
                return True
        except OSError as error:
            raise HostError(f"{name}: cannot be kept: {error.strerror}") from error

    def has(self, sha256: str) -> bool:
        """Whether a binary is there. It is then kept for a while, so that a job can name it."""
        with self._lock:
            return bool(SHA256.fullmatch(sha256)) and self._use(sha256)

    def keep(self, sha256: str, architecture: str) -> None:
        """Keep a binary for a while, for the job that is about to name it.

        :raises UploadMissingError: if it is not there.
        :raises BinaryError: if it is not for the architecture.
        """
        if not self.has(sha256):
            raise _missing(sha256, "was not uploaded, or is not kept any more")
        check_elf(self._header(sha256), architecture, source=f"task binary {sha256}")

    def get(self, sha256: str) -> bytes:
        """The content of a binary.

        :raises UploadMissingError: if it is not there, or damaged.
        """
        with self._lock:
            content = self._cache.get(sha256)
            if content is not None:
                self._cache.move_to_end(sha256)
                return content
        content = self._read(sha256)
        with self._lock:
            self._cache[sha256] = content
            # The one that was just read stays, however large it is.
            while len(self._cache) > 1 and sum(map(len, self._cache.values())) > CACHE_BYTES:
                self._cache.popitem(last=False)
        return content

    def path(self, sha256: str) -> Path:
        """The file of a binary, for whoever sends it on.

        :raises UploadMissingError: if it is not there.
        """
        path = self.directory / sha256
        if not SHA256.fullmatch(sha256) or not path.is_file():
            raise _missing(sha256, "was not uploaded, or is not kept any more")
        return path

    def entries(self) -> list[StoredBinary]:
        """All that are there, by hash. One that goes meanwhile may be missing."""
        return sorted(self._stored(), key=lambda each: each.sha256)

    def sweep(self, used: Collection[str]) -> list[str]:
        """Remove what nobody uses, and has not for a while, and what a crash has left.

        :param used: the hashes that jobs name; see :meth:`JobQueue.binaries_in_use`.
        :returns: the hashes of those that were removed.
        """
        removed = []
        kept = set(used)
        for path in list(self.directory.iterdir()):
            digest = path.name
            ours = bool(SHA256.fullmatch(digest)) or digest.startswith(_NEW)
            with self._lock, suppress(FileNotFoundError):
                if ours and digest not in kept and self._is_old(path):
                    path.unlink()
                    self._cache.pop(digest, None)
                    if not digest.startswith(_NEW):
                        removed.append(digest)
        if removed:
            log.info("removed %d task binaries that no job names any more", len(removed))
        return removed

    def _is_old(self, path: Path) -> bool:
        return path.stat().st_mtime < self._clock() - self._grace_s

    def _is_whole(self, sha256: str, content: bytes) -> bool:
        try:
            return (self.directory / sha256).read_bytes() == content
        except FileNotFoundError:
            return False

    def _use(self, sha256: str) -> bool:
        now = self._clock()
        try:
            os.utime(self.directory / sha256, (now, now))
        except FileNotFoundError:
            return False
        return True

    def _write(self, sha256: str, content: bytes) -> None:
        # Its first name is no hash: what a crash leaves is taken for nothing else.
        new = self.directory / f"{_NEW}{sha256}"
        with whole_file(self.directory / sha256, mode=0o600, temporary=new) as file:
            file.write(content)
            file.flush()  # which sets the time, too
            now = self._clock()
            os.utime(file.fileno(), (now, now))

    def _header(self, sha256: str) -> bytes:
        with (self.directory / sha256).open("rb") as file:
            return file.read(64)

    def _read(self, sha256: str) -> bytes:
        path = self.path(sha256)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise _missing(sha256, f"cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise _missing(sha256, f"{path} is damaged")
        return content

    def _stored(self) -> Iterator[StoredBinary]:
        for path in list(self.directory.iterdir()):
            if SHA256.fullmatch(path.name):
                with suppress(FileNotFoundError):
                    size = path.stat().st_size
                    architecture = elf_architecture(self._header(path.name)) or ""
                    yield StoredBinary(path.name, size, architecture)


def _missing(sha256: str, what: str) -> UploadMissingError:
    return UploadMissingError(
        f"task binary {sha256}: {what}", hint="upload it again, and then have the job try again"
    )

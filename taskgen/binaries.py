"""Finds the binary of a task, and checks that the target can run it."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taskgen.errors import BinaryError, UploadMissingError

if TYPE_CHECKING:
    from taskgen.binary_store import BinaryStore

log = logging.getLogger(__name__)

#: ``e_machine`` and ``EI_CLASS`` (1: 32 bit, 2: 64 bit) of an ELF header, by architecture (elf.h).
ARCHITECTURES: Mapping[str, tuple[int, int]] = {
    "arm": (40, 1),
    "aarch64": (183, 2),
    "i386": (3, 1),
    "x86_64": (62, 2),
    "riscv64": (243, 2),
}

#: A SHA-256 as it is written everywhere.
SHA256 = re.compile("[0-9a-f]{64}")

#: Nothing was uploaded.
NOTHING: Mapping[str, str] = {}

_ELF_HEADER = struct.Struct("<4sBB10xHH")  # magic, class, byte order, type, machine


@dataclass(frozen=True, slots=True)
class Binary:
    """A task binary.

    :ivar name: the ``pkg`` of the tasks that run it.
    :ivar sha256: of the content; what tells two binaries of one name apart.
    :ivar path: where it lies; of an uploaded one, in the store.
    """

    name: str
    content: bytes
    sha256: str
    path: Path


class Binaries:
    """The places where task binaries lie, for one architecture.

    :param directories: searched in this order, after what was uploaded for a job: the user's own
        before the profile's, because whoever names theirs means it.
    :param architecture: a key of :data:`ARCHITECTURES`.
    :param store: of those that were uploaded; ``None``: nothing can be.
    """

    def __init__(
        self,
        directories: Iterable[Path],
        architecture: str,
        store: BinaryStore | None = None,
    ) -> None:
        self.directories = tuple(directories)
        self.architecture = architecture
        self.store = store
        self._found: dict[str, tuple[_Version | None, Binary]] = {}
        self._looked_at: dict[str, asyncio.AbstractEventLoop] = {}  # in its present turn

    def get(self, pkg: str) -> Binary:
        """The binary called ``pkg``, as it is now. It is read again only if its file has changed.

        In one turn of an event loop a file is looked at once, however many targets begin a run.
        Whoever changes it and then adds a job is not missed: to add one takes several turns.

        :raises BinaryError: if there is none, or it is not for the architecture.
        """
        known_version, known = self._found.get(pkg, (None, None))
        if known and (self._seen_in_this_turn(pkg) or known_version == _version(known.path)):
            return known
        self._looked_at.pop(pkg, None)
        path = self._path(pkg)
        version = _version(path)  # before reading: what changes meanwhile is read again next time
        binary = self._read(pkg, path)
        if known and known.sha256 != binary.sha256:
            log.warning("%s has changed: from now on, runs have the new one", path)
        self._found[pkg] = version, binary
        return binary

    def of(
        self, tasks: Sequence[Mapping[str, Any]], own: Mapping[str, str] = NOTHING
    ) -> list[Binary]:
        """The binaries that a variant needs, each once.

        :param own: those that were uploaded for its job: SHA-256 by ``pkg``.
        :raises UploadMissingError: if one of those is not there any more.
        :raises BinaryError: as :meth:`get`.
        """
        names = dict.fromkeys(str(task["pkg"]) for task in tasks)
        return [self.uploaded(name, own[name]) if name in own else self.get(name) for name in names]

    def check(self, names: Iterable[str], own: Mapping[str, str] = NOTHING) -> None:
        """Whether all binaries of a job are there, before it is added.

        Those that were uploaded are then kept for a while without it. Where one goes before another
        of its name, that is logged.

        Parameters and errors as :meth:`of`.
        """
        for name in names:
            files = [directory / name for directory in self.directories]
            if name in own:
                self._store(name, own[name]).keep(own[name], self.architecture)
                for hidden in _others(files, own[name]):
                    log.info("task binary %s: uploaded %s goes before %s", name, own[name], hidden)
            else:
                found = self.get(name)
                for hidden in _others(files[files.index(found.path) + 1 :], found.sha256):
                    log.warning("task binary %s: %s goes before %s", name, found.path, hidden)

    def uploaded(self, pkg: str, sha256: str) -> Binary:
        """The binary that was uploaded under a hash, for tasks with that ``pkg``.

        :raises UploadMissingError: if it is not there (any more).
        :raises BinaryError: if it is not for the architecture.
        """
        store = self._store(pkg, sha256)
        content = store.get(sha256)
        check_elf(content, self.architecture, source=f"task binary {pkg}")
        return Binary(pkg, content, sha256, store.directory / sha256)

    def _store(self, pkg: str, sha256: str) -> BinaryStore:
        if self.store is None:
            raise UploadMissingError(
                f"task binary {pkg}: {sha256} was not uploaded",
                hint="only a daemon takes uploads; else name the directory with --binaries",
            )
        return self.store

    def _seen_in_this_turn(self, pkg: str) -> bool:
        """Whether the file was looked at in this turn; from now on it was."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if self._looked_at.get(pkg) is loop:
            return True
        self._looked_at[pkg] = loop
        loop.call_soon(self._looked_at.pop, pkg, None)
        return False

    def _path(self, pkg: str) -> Path:
        for directory in self.directories:
            path = directory / pkg
            if path.is_file():
                return path
        places = ", ".join(map(str, self.directories)) or "no directory is set"
        raise BinaryError(
            f"no task binary '{pkg}' in {places}",
            hint="name its directory with --binaries or TASKGEN_BINARIES",
        )

    def _read(self, pkg: str, path: Path) -> Binary:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BinaryError(f"{path}: cannot be read: {error.strerror}") from error
        check_elf(content, self.architecture, source=str(path))
        return Binary(pkg, content, hashlib.sha256(content).hexdigest(), path)


def _others(files: Iterable[Path], sha256: str) -> list[Path]:
    """Those that are there, and have other content."""
    return [path for path in files if path.is_file() and _sha256(path) != sha256]


def _sha256(path: Path) -> str:
    """Of what is in a file now; empty if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


#: What tells one version of a file from another: inode, size, and time of the last change in ns.
_Version = tuple[int, int, int]


def _version(path: Path) -> _Version | None:
    try:
        status = os.stat(path)
    except OSError:
        return None  # it is gone; whoever reads it says so
    return status.st_ino, status.st_size, status.st_mtime_ns


def check_elf(content: bytes, *architectures: str, source: str) -> None:
    """Check the ELF header of a task binary, which must be for one of the architectures.

    :raises BinaryError: naming ``source`` and what it is instead.
    """
    wanted = " or ".join(architectures)
    header = _elf_header(content)
    if header is None:
        raise BinaryError(f"{source}: not an ELF file", hint=f"build it for {wanted}")
    machine, bits, order = header
    if order != 1 or (machine, bits) not in (ARCHITECTURES[name] for name in architectures):
        found = _architecture(machine, bits) or f"ELF machine {machine}"
        raise BinaryError(
            f"{source}: is for {found}, the target is {wanted}", hint=f"build it for {wanted}"
        )


def elf_architecture(content: bytes) -> str | None:
    """A key of :data:`ARCHITECTURES`; ``None`` if it is for none of them.

    :param content: of a file, at least its beginning.
    """
    header = _elf_header(content)
    return _architecture(header[0], header[1]) if header and header[2] == 1 else None


def _elf_header(content: bytes) -> tuple[int, int, int] | None:
    """Machine, class and byte order; ``None`` if it is no ELF file."""
    if len(content) < _ELF_HEADER.size:
        return None
    magic, bits, order, _, machine = _ELF_HEADER.unpack_from(content)
    return (machine, bits, order) if magic == b"\x7fELF" else None


def _architecture(machine: int, bits: int) -> str | None:
    return next((n for n, value in ARCHITECTURES.items() if value == (machine, bits)), None)


def user_directories(chosen: str | None) -> list[Path]:
    """The user's own directories: ``--binaries``, else ``TASKGEN_BINARIES``, with ``:`` between.

    :raises BinaryError: if one does not exist.
    """
    text = chosen or os.environ.get("TASKGEN_BINARIES", "")
    directories = [Path(part) for part in text.split(":") if part]
    for directory in directories:
        if not directory.is_dir():
            raise BinaryError(f"{directory}: no such directory of task binaries")
    return directories

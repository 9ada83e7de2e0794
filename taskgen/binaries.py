"""Finds the binary of a task, and checks that the target can run it."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskgen.errors import BinaryError

#: ``e_machine`` and ``EI_CLASS`` (1: 32 bit, 2: 64 bit) of an ELF header, by architecture (elf.h).
ARCHITECTURES: Mapping[str, tuple[int, int]] = {
    "arm": (40, 1),
    "aarch64": (183, 2),
    "i386": (3, 1),
    "x86_64": (62, 2),
    "riscv64": (243, 2),
}

_ELF_HEADER = struct.Struct("<4sBB10xHH")  # magic, class, byte order, type, machine


@dataclass(frozen=True, slots=True)
class Binary:
    """A task binary.

    :ivar name: the ``pkg`` of the tasks that run it.
    :ivar sha256: of the content; what tells two binaries of one name apart.
    """

    name: str
    content: bytes
    sha256: str
    path: Path


class Binaries:
    """The places where task binaries lie, for one architecture.

    :param directories: searched in this order.
    :param architecture: a key of :data:`ARCHITECTURES`.
    """

    def __init__(self, directories: Iterable[Path], architecture: str) -> None:
        self.directories = tuple(directories)
        self.architecture = architecture
        self._found: dict[str, Binary] = {}

    def get(self, pkg: str) -> Binary:
        """The binary called ``pkg``. It is read once: all runs of a process have the same.

        :raises BinaryError: if there is none, or it is not for the architecture.
        """
        if pkg not in self._found:
            self._found[pkg] = self._read(pkg)
        return self._found[pkg]

    def of(self, tasks: Sequence[Mapping[str, Any]]) -> list[Binary]:
        """The binaries that a variant needs, each once.

        :raises BinaryError: as :meth:`get`.
        """
        return [self.get(name) for name in dict.fromkeys(str(task["pkg"]) for task in tasks)]

    def _read(self, pkg: str) -> Binary:
        for directory in self.directories:
            path = directory / pkg
            if path.is_file():
                break
        else:
            places = ", ".join(map(str, self.directories)) or "no directory is set"
            raise BinaryError(
                f"no task binary '{pkg}' in {places}",
                hint="name its directory with --binaries or TASKGEN_BINARIES",
            )
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BinaryError(f"{path}: cannot be read: {error.strerror}") from error
        check_elf(content, self.architecture, source=str(path))
        return Binary(pkg, content, hashlib.sha256(content).hexdigest(), path)


def check_elf(content: bytes, architecture: str, *, source: str) -> None:
    """Check the ELF header of a task binary.

    :raises BinaryError: naming ``source`` and what it is instead.
    """
    wanted = ARCHITECTURES[architecture]
    magic, bits, order, _, machine = (
        _ELF_HEADER.unpack_from(content) if len(content) >= _ELF_HEADER.size else (b"",) * 5
    )
    if magic != b"\x7fELF":
        raise BinaryError(f"{source}: not an ELF file", hint=f"build it for {architecture}")
    if (machine, bits) != wanted or order != 1:
        found = next((n for n, value in ARCHITECTURES.items() if value == (machine, bits)), None)
        raise BinaryError(
            f"{source}: is for {found or f'ELF machine {machine}'}, the target is {architecture}",
            hint=f"build it for {architecture}",
        )


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

"""A saved state of a machine on the disk: its file, and the note beside it that says what it is.

A file without a note that fits it is nothing. All of it blocks: use threads.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from taskgen.config import STRICT, convert
from taskgen.errors import ConfigError
from taskgen.whole_file import whole_file

log = logging.getLogger(__name__)

#: Whatever changes in what we save, or how: older states do not count then.
VERSION = 1

_KEY_DIGITS = 16

#: How its file is opened.
FLAGS = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a saved state depends on. It is good only where all of it is the same.

    :ivar slot: name of the slot.
    :ivar place: what tells the states of a slot from each other that may be kept side by side.
    :ivar facts: what makes all others worthless when it changes, by a name for people.
    """

    slot: str
    place: Mapping[str, str]
    facts: Mapping[str, str]

    @property
    def sha256(self) -> str:
        parts = [VERSION, self.slot, dict(self.place), dict(self.facts)]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """What the files of this key are called."""
        return f"{self.slot}-{self.sha256[:_KEY_DIGITS]}"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """``NAME.json``: a saved state.

    :ivar tag: its name in the image; no other state ever has it.
    :ivar address: that the guest had.
    :ivar saved_at: seconds since the epoch.
    :ivar size: of the file, bytes.
    :ivar sha256: of the file.
    """

    __pydantic_config__ = STRICT

    slot: str
    place: dict[str, str]
    facts: dict[str, str]
    tag: str
    address: str
    saved_at: float
    size: int
    sha256: str
    version: int = VERSION

    @property
    def key(self) -> Key:
        return Key(slot=self.slot, place=self.place, facts=self.facts)


class Place:
    """A file of the store that is this machine's. Made by :meth:`SnapshotStore.take`.

    :ivar name: the file's, without its ending.
    :ivar file: open to read and write; a QEMU that has a copy keeps it locked.
    :ivar snapshot: what is in it; ``None``: nothing that can be used.
    """

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self.name = path.stem
        self.file = file
        self.snapshot: Snapshot | None = None

    def look(self, key: Key) -> None:
        """Find out what is in it; what is not just what was saved there, for that key, is dropped.

        :raises OSError: if it cannot be read.
        """
        found = read(note_of(self.path))
        broken = ""
        if found is None:
            broken = "it has no note that can be read" if note_of(self.path).exists() else ""
        elif found.version != VERSION or found.key != key:
            broken = "it is of another machine"
        elif (size := os.fstat(self.file).st_size) != found.size:
            broken = f"it has {size} bytes, not {found.size}"
        elif _checksum(self.file) != found.sha256:
            broken = "its content has changed"
        if broken:
            log.warning("%s: a broken saved state, so it is dropped: %s", self.name, broken)
        if broken or found is None:
            self.empty()
        else:
            self.snapshot = found

    def hold(self) -> bool:
        """Whether it is as we know it; from then on nobody else gets it.

        What :meth:`SnapshotStore.of` found was locked by its QEMU only, and is anybody's once that
        has ended.
        """
        with suppress(OSError):
            if _lock(self.file) and os.path.samestat(os.fstat(self.file), os.lstat(self.path)):
                return read(note_of(self.path)) == self.snapshot
        return False

    def keep(self, key: Key, *, tag: str, address: str, saved_at: float) -> None:
        """From now on there is a state in it that can be used.

        :raises OSError: if that cannot be noted.
        """
        snapshot = Snapshot(
            slot=key.slot,
            place=dict(key.place),
            facts=dict(key.facts),
            tag=tag,
            address=address,
            saved_at=saved_at,
            size=os.fstat(self.file).st_size,
            sha256=_checksum(self.file),
        )
        with whole_file(note_of(self.path), mode=0o600, durable=False) as note:
            note.write(json.dumps(asdict(snapshot), indent=1).encode() + b"\n")
        self.snapshot = snapshot

    def used(self) -> None:
        """It is the last of all now to be given up for want of room."""
        with suppress(OSError):
            os.utime(note_of(self.path))

    def forget(self) -> None:
        """What is in it cannot be used any more. Never fails."""
        self.snapshot = None
        with suppress(OSError):
            note_of(self.path).unlink(missing_ok=True)

    def empty(self) -> None:
        """Give back its room on the disk; no QEMU has it open. Never fails."""
        self.forget()
        with suppress(OSError):
            os.truncate(self.file, 0)
            os.lseek(self.file, 0, os.SEEK_SET)  # to look at what was there has moved on

    def close(self) -> None:
        """It is no longer ours; what is in it stays. May be called again."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1


def note_of(path: Path) -> Path:
    """Where the note beside a file is."""
    return path.with_suffix(".json")


def opened(path: Path) -> int | None:
    """The file, open and locked, until it is closed; ``None``: somebody else has it.

    :raises OSError: if it cannot be opened.
    """
    file = os.open(path, FLAGS)
    if _lock(file):
        return file
    os.close(file)
    return None


def read(note: Path) -> Snapshot | None:
    """What a note says; ``None``: it is not there, or of no use."""
    try:
        return convert(json.loads(note.read_text(encoding="utf-8")), Snapshot, source=str(note))
    except (OSError, ValueError, ConfigError) as error:
        log.debug("%s: of no use: %s", note, error)
        return None


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _checksum(file: int) -> str:
    with open(file, "rb", closefd=False) as content:
        content.seek(0)
        return hashlib.file_digest(content, "sha256").hexdigest()

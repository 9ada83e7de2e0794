"""The archive format of an initramfs ("newc"): equal content gives equal bytes."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class File:
    content: bytes
    mode: int


@dataclass(frozen=True)
class Link:
    target: str


@dataclass(frozen=True)
class Device:
    mode: int
    major: int
    minor: int


Entry = File | Link | Device


def _member(name: str, inode: int, time: int, entry: Entry | None) -> bytes:
    """One entry with its header; without an entry, a directory."""
    mode, content, major, minor = stat.S_IFDIR | 0o755, b"", 0, 0
    if isinstance(entry, File):
        mode, content = stat.S_IFREG | entry.mode, entry.content
    elif isinstance(entry, Link):
        mode, content = stat.S_IFLNK | 0o777, entry.target.encode("ascii")
    elif isinstance(entry, Device):
        mode, major, minor = stat.S_IFCHR | entry.mode, entry.major, entry.minor
    fields = (inode, mode, 0, 0, 1, time, len(content), 0, 0, major, minor, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode("ascii") + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def archive(entries: Mapping[str, Entry], time: int) -> bytes:
    """An archive of these entries, all owned by root, and of the directories above them."""
    parents = (str(parent) for name in entries for parent in PurePosixPath(name).parents)
    names = sorted({parent for parent in parents if parent != "."} | set(entries))
    members = [_member(name, inode, time, entries.get(name)) for inode, name in enumerate(names, 1)]
    return b"".join([*members, _member("TRAILER!!!", 0, 0, None)])

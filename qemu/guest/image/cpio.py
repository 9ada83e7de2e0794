"""The archive format of an initramfs ("newc"), written such that equal content gives equal bytes."""

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


def _member(name: str, inode: int, mode: int, time: int, content: bytes, device: Device | None) -> bytes:
    major, minor = (device.major, device.minor) if device else (0, 0)
    fields = (inode, mode, 0, 0, 1, time, len(content), 0, 0, major, minor, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode("ascii") + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def archive(entries: Mapping[str, Entry], time: int) -> bytes:
    """An archive of these entries, all owned by root, and of the directories above them."""
    directories = {
        str(parent) for name in entries for parent in PurePosixPath(name).parents if str(parent) != "."
    }
    parts: list[bytes] = []
    for inode, name in enumerate(sorted(directories | set(entries)), start=1):
        entry = entries.get(name)
        device = entry if isinstance(entry, Device) else None
        content = b""
        if isinstance(entry, File):
            mode, content = stat.S_IFREG | entry.mode, entry.content
        elif isinstance(entry, Link):
            mode, content = stat.S_IFLNK | 0o777, entry.target.encode("ascii")
        elif isinstance(entry, Device):
            mode = stat.S_IFCHR | entry.mode
        else:
            mode = stat.S_IFDIR | 0o755
        parts.append(_member(name, inode, mode, time, content, device))
    parts.append(_member("TRAILER!!!", 0, 0, 0, b"", None))
    return b"".join(parts)

"""Task binaries of the user's own, on their way to the daemon."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)


def digest(content: bytes) -> str:
    """What a binary is called by: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def found(names: Iterable[str], directories: Iterable[Path]) -> Mapping[str, Path]:
    """The files called as ``names`` say, each in the first directory that has it."""
    places = tuple(directories)
    candidates = ((name, place / name) for name in sorted(set(names)) for place in reversed(places))
    files = {name: path for name, path in candidates if path.is_file()}
    for name, path in files.items():
        log.info("task binary %s: %s goes before the daemon's", name, path)
    return files

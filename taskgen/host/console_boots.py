"""The boots of a machine, and which of their bytes are kept. Pure but for the index file.

A QEMU has one log. A reset within it begins a new boot at an offset of the same log, so a log may
hold several boots; those that are too old, and the head of one that is too long, are holes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from taskgen.config import STRICT, convert
from taskgen.errors import ConfigError
from taskgen.host.holes import start_of_kept
from taskgen.whole_file import whole_file

_VERSION = 1


class Why(StrEnum):
    """What began a boot."""

    LAUNCH = "launch"
    RESET = "reset"
    SNAPSHOT = "snapshot"  # a launch that went on from a saved state: it has no words of a boot
    UNKNOWN = "unknown"  # the index was lost


@dataclass(frozen=True, kw_only=True)
class Boot:
    """One boot of a machine.

    :ivar number: 1 for the slot's first; grows for ever.
    :ivar file: name of the log that it is in.
    :ivar first: offset of its first byte there.
    :ivar kept_from: offset of the first byte that is kept.
    :ivar began: seconds since the epoch.
    :ivar uuid: of its QEMU.
    """

    __pydantic_config__ = STRICT

    number: int
    file: str
    first: int = 0
    kept_from: int = 0
    began: float = field(default_factory=time.time)
    why: Why = Why.LAUNCH
    uuid: str = ""


@dataclass(frozen=True, kw_only=True)
class _Index:
    """``boots.json``"""

    __pydantic_config__ = STRICT

    version: int
    boots: tuple[Boot, ...]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is kept of each machine.

    :ivar boot_bytes: of one boot, at most; an eighth less just after its head was dropped.
    :ivar boots: so many, the newest.
    """

    boot_bytes: int = 8_000_000
    boots: int = 10


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes of a log that are not kept."""

    file: str
    start: int
    end: int


def kept(
    boots: Sequence[Boot], limits: Limits, size: Callable[[str], int], *, holes: bool = True
) -> list[Boot]:
    """The boots that are kept, each with what is kept of it. The newest bytes always are.

    :param boots: oldest first.
    :param size: of a log, by its name.
    :param holes: whether there can be any; if not, all of a log is kept.
    """
    remaining = list(boots[-limits.boots :])
    if not holes:
        return remaining
    found = []
    for boot in remaining:
        end = end_of(boots, boot, size)
        start = start_of_kept(boot.kept_from, end, limits.boot_bytes)
        found.append(replace(boot, kept_from=start))
    return found


def end_of(boots: Sequence[Boot], boot: Boot, size: Callable[[str], int]) -> int:
    """Offset behind the last byte of one of the boots: where the next in its log begins."""
    later = (each for each in boots if each.number > boot.number and each.file == boot.file)
    following = next(later, None)
    return following.first if following else size(boot.file)


def holes_of(boots: Sequence[Boot]) -> list[Hole]:
    """All that is not kept of the logs of these boots, oldest first."""
    found = []
    ends: dict[str, int] = {}
    for boot, following in zip(boots, [*boots[1:], None], strict=True):
        start = ends.get(boot.file, 0)
        if boot.kept_from > start:
            found.append(Hole(boot.file, start, boot.kept_from))
        if following and following.file == boot.file:
            ends[boot.file] = following.first
    return found


def load(path: Path) -> list[Boot] | None:
    """The boots of an index, oldest first; ``None``: it is missing, torn, or another version's."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, dict) or data.get("version") != _VERSION:
            return None
        return list(convert(data, _Index, source=str(path)).boots)
    except (OSError, ValueError, ConfigError):
        return None


def save(path: Path, boots: Sequence[Boot]) -> None:
    """Write an index, whole or not at all.

    :raises OSError: if that fails.
    """
    index = _Index(version=_VERSION, boots=tuple(boots))
    with whole_file(path, durable=False) as file:  # one that is torn is made anew
        file.write(json.dumps(asdict(index), indent=1).encode() + b"\n")

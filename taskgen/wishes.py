"""What users changed of the fleet while it worked, kept for the next daemon."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from taskgen.config import STRICT, convert
from taskgen.errors import ConfigError, HostError
from taskgen.whole_file import whole_file


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """``wishes.json``

    :ivar max_machines: machines at most; ``None``: nobody wished anything, the settings hold.
    :ivar paused: whether no run is begun.
    """

    __pydantic_config__ = STRICT

    max_machines: int | None = None
    paused: bool = False

    def __post_init__(self) -> None:
        if self.max_machines is not None and self.max_machines < 1:
            raise ValueError("max_machines must be above 0")


def load_wishes(path: Path) -> Wishes:
    """What was kept; no wishes where there is no file.

    :raises ConfigError: if the file cannot be used.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Wishes()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path}: cannot be read: {error}", hint="remove it; the settings hold then"
        ) from error
    return convert(data, Wishes, source=str(path))


def save_wishes(path: Path, wishes: Wishes) -> None:
    """Keep them, whole and on the disk, or not at all. Blocks.

    :raises HostError: if that fails.
    """
    try:
        with whole_file(path) as file:
            file.write(json.dumps(asdict(wishes), indent=1).encode() + b"\n")
    except OSError as error:
        raise HostError(f"{path}: cannot be written: {error.strerror}") from error

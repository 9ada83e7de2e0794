"""The settings that count, and where each comes from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from taskgen.config import read_toml
from taskgen.settings import Settings, load_settings, settings_file


@dataclass(frozen=True, slots=True)
class Sourced:
    """A setting.

    :ivar value: as a file would have it; ``None``: none is given.
    :ivar source: the file, the variable, or ``default``.
    """

    section: str
    key: str
    value: Any
    source: str


def sourced(
    path: Path | None = None, environment: Mapping[str, str] = os.environ
) -> tuple[Sourced, ...]:
    """All settings, in the order of the page.

    :param path: the file that the user named.
    :raises ConfigError: as :func:`taskgen.settings.load_settings`.
    """
    settings = load_settings(path, environment)
    file = settings_file(path, environment)
    written = read_toml(file) if file else {}
    variables = {name.upper(): name for name in environment}

    def source(section: str, key: str) -> str:
        variable = f"TASKGEN_{section}__{key}".upper()
        if variable in variables:
            return variables[variable]
        return str(file) if key in written.get(section, {}) else "default"

    return tuple(
        Sourced(
            section.name,
            key.name,
            _plain(getattr(getattr(settings, section.name), key.name)),
            source(section.name, key.name),
        )
        for section in fields(Settings)
        for key in fields(getattr(settings, section.name))
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value

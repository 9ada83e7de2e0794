"""What a user can set, in a TOML file or by the environment.

The file is the one that is named, else ``TASKGEN_CONFIG``, else :data:`SYSTEM_FILE` if it is there.
``TASKGEN_<SECTION>__<KEY>``, as in ``TASKGEN_QEMU__ACCELERATOR=tcg``, goes before the file.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from taskgen.config import STRICT, convert, read_toml
from taskgen.errors import ConfigError

SYSTEM_FILE = Path("/etc/taskgen/taskgen.toml")


@dataclass(frozen=True)
class FleetSettings:
    """``[fleet]``

    :ivar profile: the machine profile that is taken where none is named.
    :ivar boots_at_once: machines that may be starting at the same time; 0: one for each core.
    :ivar idle_timeout_s: a distributor lets a machine or host go that has had nothing to do for so
        many seconds.
    """

    __pydantic_config__ = STRICT

    profile: str = "linux-x86_64"
    boots_at_once: int = 0
    idle_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if self.idle_timeout_s < 0:
            raise ValueError("idle_timeout_s must not be negative")
        if self.boots_at_once < 0:
            raise ValueError("boots_at_once must not be negative")


@dataclass(frozen=True)
class NetworkSettings:
    """``[network]``

    :ivar namespace: the fleet's network namespace; ``None``: one of the engine's own; empty: the
        namespace in which Taskgen was started, which is the host's own as a rule.
    :ivar file: the network's description; ``None``: ``network/network.toml`` of this installation.
    """

    __pydantic_config__ = STRICT

    namespace: str | None = None
    file: Path | None = None

    def __post_init__(self) -> None:
        if self.namespace and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", self.namespace):
            raise ValueError(f"namespace {self.namespace!r}: letters, digits, dots and dashes only")


@dataclass(frozen=True)
class QemuSettings:
    """``[qemu]``

    :ivar accelerator: ``auto`` boots a machine to see whether KVM works.
    :ivar user: the system user that QEMU runs as.
    """

    __pydantic_config__ = STRICT

    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    user: str = "taskgen-qemu"


class Reset(StrEnum):
    """What is done to a target between two runs. :mod:`taskgen.session_manager` does it."""

    CLEAR = "clear"  # the protocol's CLEAR: tasks are stopped and dropped
    REBOOT = "reboot"  # the guest starts anew for each run


@dataclass(frozen=True)
class RunSettings:
    """``[run]``

    :ivar tries: attempts for a variant whose failures are its own.
    :ivar margin: factor on the time that a run can take by its own periods.
    :ivar slack_s: seconds added to that.
    :ivar reset: what is done to a target between two runs.
    """

    __pydantic_config__ = STRICT

    tries: int = 3
    margin: float = 1.5
    slack_s: float = 10.0
    reset: Reset = Reset.CLEAR

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError("tries must be at least 1")
        if self.margin < 1:
            raise ValueError("margin must be at least 1")
        if self.slack_s < 0:
            raise ValueError("slack_s must not be negative")


@dataclass(frozen=True)
class HostSettings:
    """``[hosts]``: boards and machines of others, found in address ranges.

    :ivar optimize: whether data for admission control go out to them as ``OPTIMIZE``. Servers that
        do not know it take the data for commands: then say ``false``.
    :ivar port: where their Taskloader listens.
    :ivar concurrency: addresses that are tried at the same time.
    :ivar connect_s: limit for a connection.
    :ivar answer_s: limit for an answer; extended for uploads.
    :ivar reboot_s: limit for a reboot, from ``REBOOT`` to the next answer.
    :ivar first_contact: what to do before the first upload in a session with a host, of which
        nobody knows which binaries it has had: ``reboot`` it, or ``trust`` that those of the same
        names are the same. A guest ignores an upload under a name that it has.
    """

    __pydantic_config__ = STRICT

    optimize: bool = True
    port: int = 3001
    concurrency: int = 64
    connect_s: float = 2.0
    answer_s: float = 10.0
    reboot_s: float = 120.0
    first_contact: Literal["reboot", "trust"] = "reboot"

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise ValueError("port must be from 1 to 65535")
        for key in ("concurrency", "connect_s", "answer_s", "reboot_s"):
            if getattr(self, key) <= 0:
                raise ValueError(f"{key} must be above 0")


@dataclass(frozen=True)
class ResultSettings:
    """``[results]``: what is kept in a database of results. 0: no bound.

    :ivar days: runs that were recorded within so many days.
    :ivar runs: so many runs.
    :ivar megabytes: so many that the database is not larger than this (10**6 bytes).
    """

    __pydantic_config__ = STRICT

    days: float = 0.0
    runs: int = 0
    megabytes: float = 0.0

    def __post_init__(self) -> None:
        for key in ("days", "runs", "megabytes"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} must not be negative")


@dataclass(frozen=True)
class Settings:
    """All that can be set."""

    __pydantic_config__ = STRICT

    fleet: FleetSettings = field(default_factory=FleetSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    qemu: QemuSettings = field(default_factory=QemuSettings)
    run: RunSettings = field(default_factory=RunSettings)
    results: ResultSettings = field(default_factory=ResultSettings)
    hosts: HostSettings = field(default_factory=HostSettings)


def load_settings(
    path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Settings:
    """Read the settings.

    :param path: the file that the user named.
    :param options: values by section and key that go before all others.
    :raises ConfigError: naming the file or the variable, and the key.
    """
    named = path or (Path(chosen) if (chosen := environment.get("TASKGEN_CONFIG")) else None)
    file = named or (SYSTEM_FILE if SYSTEM_FILE.is_file() else None)
    data = read_toml(file) if file else {}
    source = str(file) if file else "settings"
    if file:
        convert(data, Settings, source=source)  # so that an error names the right place
    if overridden := _override(data, environment):
        convert(data, Settings, source=f"environment ({', '.join(overridden)})")
    for section, values in (options or {}).items():
        data.setdefault(section, {}).update(values)
    return convert(data, Settings, source="options")


def _override(data: dict[str, Any], environment: Mapping[str, str]) -> list[str]:
    """Put the environment's values into ``data``; returns the names of the variables."""
    sections = {section.name for section in fields(Settings)}
    used = []
    for name, text in sorted(environment.items()):
        section, separator, key = name.removeprefix("TASKGEN_").lower().partition("__")
        if not name.startswith("TASKGEN_") or not separator:
            continue
        if section not in sections:
            raise ConfigError(
                f"{name}: there is no section '{section}'",
                hint=f"sections: {', '.join(sorted(sections))}",
            )
        data.setdefault(section, {})[key] = _value(text)
        used.append(name)
    return used


def _value(text: str) -> Any:
    """A number or a truth value if it reads as one in TOML, else the text itself."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, int | float | bool) else text

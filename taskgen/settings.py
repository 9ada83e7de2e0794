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

from taskgen.config import STRICT, convert, live, read_toml, settle_words
from taskgen.cpu_list import parse_cpus
from taskgen.daemon_settings import ApiSettings, ConsoleSettings, DaemonSettings, LogSettings
from taskgen.errors import ConfigError
from taskgen.run_settings import ResultSettings, RunSettings, SnapshotSettings

SYSTEM_FILE = Path("/etc/taskgen/taskgen.toml")


@dataclass(frozen=True)
class FleetSettings:
    """``[fleet]``: the machines that are launched on this host.

    :ivar profile: the machine profile that is taken where none is named.
    :ivar launch: whether the daemon launches machines at all; ``false``: it only drives hosts.
    :ivar max_machines: machines that the daemon launches at most; 0: as many as cores. What is
        wished while it runs (``taskgen fleet set-max``) goes before it, and outlives a restart.
    :ivar memory_mb: what machines may take together of the host's memory, MiB; 0: all but 512 MiB
        of what the host has or a control group leaves. No more machines are launched than fit,
        each with the profile's ``memory_mb`` and what QEMU itself needs. More than the host has can
        be said where guests are known not to use all that they are given.
    :ivar boot_concurrency: machines that may be starting at the same time; ``auto``: one for each
        core whose time the host and a control group leave to the daemon, so that machines become
        useful one by one and not all late.
    :ivar idle_timeout_s: a machine or host goes that has had nothing to do for so many seconds.
    """

    __pydantic_config__ = STRICT

    profile: str = "linux-x86_64"
    launch: bool = True
    max_machines: int = live(0)
    memory_mb: int = live(0)
    boot_concurrency: Literal["auto"] | int = live("auto")
    idle_timeout_s: float = live(60.0)

    def __post_init__(self) -> None:
        for key in ("max_machines", "memory_mb", "idle_timeout_s"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} must not be negative")
        if self.boot_concurrency != "auto" and self.boot_concurrency < 1:
            raise ValueError('boot_concurrency must be "auto" or at least 1')


@dataclass(frozen=True)
class NetworkSettings:
    """``[network]``: the network that the machines are in.

    :ivar namespace: the fleet's network namespace; none given: ``taskgen`` for the daemon, one of
        its own for any other engine; empty: the namespace in which Taskgen was started, which is
        the host's own as a rule.
    :ivar file: the network's description; none given: ``network/network.toml`` of this
        installation.
    :ivar uplink: a network port of this host, as ``eth1``, that joins the machines to the LAN
        behind it, with the boards there; the host itself cannot use it meanwhile. Refused where
        that LAN is not the fleet's own. Read ``docs/host-network.md`` first.
    :ivar existing_bridge: with an empty ``namespace``: the bridge of ``network.toml`` is the host's
        own. It is there already, and stays as it was found.
    """

    __pydantic_config__ = STRICT

    namespace: str | None = None
    file: Path | None = None
    uplink: str = ""
    existing_bridge: bool = False

    def __post_init__(self) -> None:
        if self.namespace and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", self.namespace):
            raise ValueError(f"namespace {self.namespace!r}: letters, digits, dots and dashes only")
        if self.uplink and not re.fullmatch(r"[^\s/:]{1,15}", self.uplink):
            raise ValueError(f"uplink {self.uplink!r}: not a name for a network device")
        if self.existing_bridge and self.namespace != "":
            raise ValueError('existing_bridge: only with namespace = "", where the bridge is')


class DhcpChoice(StrEnum):
    """Who gives the machines their addresses. :mod:`taskgen.host.dhcp_choice` knows them."""

    DNSMASQ = "dnsmasq"
    ISC = "isc"  # the dhcpd of the Internet Systems Consortium


@dataclass(frozen=True)
class DhcpSettings:
    """``[dhcp]``: who gives the machines their addresses.

    :ivar server: ``dnsmasq``, or ``isc``: ISC's dhcpd, which ``provision.sh --isc`` installs.
    """

    __pydantic_config__ = STRICT

    server: DhcpChoice = DhcpChoice.DNSMASQ

    def __post_init__(self) -> None:
        settle_words(self)


@dataclass(frozen=True)
class QemuSettings:
    """``[qemu]``: how machines are executed.

    :ivar accelerator: what executes a guest's instructions; ``auto`` boots a machine to see whether
        KVM works, else takes TCG.
    :ivar user: the system user that QEMU runs as.
    :ivar cpus: on which cores vCPUs run. ``none``: wherever the scheduler puts them. ``auto``: each
        machine has cores of its own, as long as all machines that may be launched fit; else none
        is pinned. A list has a set of cores for each machine: with ``["0-1", "2,4", 5]`` those of
        the first run on cores 0 and 1, of the third on core 5, and of the fourth, with a warning,
        where the first's do.
    """

    __pydantic_config__ = STRICT

    accelerator: Literal["auto", "kvm", "tcg"] = "auto"
    user: str = "taskgen-qemu"
    cpus: Literal["auto", "none"] | tuple[int | str, ...] = "none"

    def __post_init__(self) -> None:
        if not self.cpus:
            raise ValueError('cpus: the list is empty; say "none" to pin nothing')
        if not all(self.cpu_sets):
            raise ValueError("cpus: each of its sets needs a core")

    @property
    def cpu_sets(self) -> tuple[frozenset[int], ...]:
        """The sets of a list; none where there is no list."""
        if isinstance(self.cpus, str):
            return ()
        return tuple(parse_cpus(str(each)) for each in self.cpus)


@dataclass(frozen=True)
class DiagnosisSettings:
    """``[diagnosis]``: what is kept of machines with which something was wrong.

    :ivar memory_dumps: how many dumps of guests' memory are kept, the newest; 0: none are made. One
        is as large as the machine's memory. They lie in ``dumps`` in ``TASKGEN_STATE``.
    """

    __pydantic_config__ = STRICT

    memory_dumps: int = 0

    def __post_init__(self) -> None:
        if self.memory_dumps < 0:
            raise ValueError("memory_dumps must not be negative")


@dataclass(frozen=True)
class HostSettings:
    """``[hosts]``: boards and machines of others, found in address ranges.

    :ivar addresses: where the daemon looks for them: addresses, ranges such as ``172.25.1.0/24``
        and host names.
    :ivar profile: what they are; empty: the same as ``fleet.profile``.
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

    addresses: tuple[str, ...] = ()
    profile: str = ""
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
class Settings:
    """All that can be set."""

    __pydantic_config__ = STRICT

    fleet: FleetSettings = field(default_factory=FleetSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    dhcp: DhcpSettings = field(default_factory=DhcpSettings)
    qemu: QemuSettings = field(default_factory=QemuSettings)
    diagnosis: DiagnosisSettings = field(default_factory=DiagnosisSettings)
    run: RunSettings = field(default_factory=RunSettings)
    snapshots: SnapshotSettings = field(default_factory=SnapshotSettings)
    results: ResultSettings = field(default_factory=ResultSettings)
    hosts: HostSettings = field(default_factory=HostSettings)
    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    log: LogSettings = field(default_factory=LogSettings)


def settings_file(path: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The file of settings: the one that the user named, else the usual ones; maybe there is none.

    :param path: the file that the user named.
    """
    named = path or (Path(chosen) if (chosen := environment.get("TASKGEN_CONFIG")) else None)
    return named or (SYSTEM_FILE if SYSTEM_FILE.is_file() else None)


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
    file = settings_file(path, environment)
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
    """A number, a truth value or a list if it reads as one in TOML, else the text itself."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return value if isinstance(value, int | float | bool | list) else text

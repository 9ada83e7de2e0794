"""What a user can set of the daemon: how it ends, where its API is, and how it logs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Literal

from taskgen.config import STRICT, live


@dataclass(frozen=True)
class DaemonSettings:
    """``[daemon]``

    :ivar on_stop: what becomes of the machines when the daemon is told to end (SIGTERM): ``stop``
        them, or ``keep`` them running, so that the next daemon goes on with them. SIGUSR1 keeps
        them whatever is set here.
    :ivar drain_s: how long runs may take to finish then, seconds; those that are not through are
        run again by the next daemon.
    """

    __pydantic_config__ = STRICT

    on_stop: Literal["stop", "keep"] = live("stop")
    drain_s: float = live(300.0)

    def __post_init__(self) -> None:
        if not self.drain_s >= 0:  # NaN is neither
            raise ValueError("drain_s must not be negative")


@dataclass(frozen=True)
class ApiSettings:
    """``[api]``: where programs and people reach the daemon.

    :ivar socket: the Unix socket; none given: ``taskgen.sock`` in ``TASKGEN_RUN``, which is
        ``/run/taskgen``.
    :ivar group: the group whose members may use the socket, beside root; empty: nobody.
    :ivar listen: address and port for TCP, as in ``127.0.0.1:7323``; empty: no TCP. Whoever comes
        that way needs the token.
    :ivar allow_all_addresses: whether ``listen`` may name ``0.0.0.0`` or ``::``, which is every
        network that this host is in.
    :ivar token_file: where the token is; none given: ``secrets/api-token`` in ``TASKGEN_STATE``. It
        is made where it is missing.
    :ivar body_megabytes: the largest request (10**6 bytes), uploads of binaries excepted.
    :ivar binary_megabytes: the largest task binary that can be uploaded (10**6 bytes).
    """

    __pydantic_config__ = STRICT

    socket: Path | None = None
    group: str = "taskgen"
    listen: str = ""
    allow_all_addresses: bool = False
    token_file: Path | None = None
    body_megabytes: float = 16.0
    binary_megabytes: float = 64.0

    def __post_init__(self) -> None:
        for key in ("body_megabytes", "binary_megabytes"):
            if not getattr(self, key) > 0:  # NaN is neither
                raise ValueError(f"{key} must be above 0")
        if (tcp := self.tcp) and _everywhere(tcp[0]) and not self.allow_all_addresses:
            raise ValueError(
                f"listen = {self.listen!r} is every network of this host; if that is meant, set "
                "allow_all_addresses = true"
            )

    @property
    def tcp(self) -> tuple[str, int] | None:
        """Address and port of ``listen``; ``None``: no TCP.

        :raises ValueError: if it is not of the form.
        """
        if not self.listen:
            return None
        parts = re.fullmatch(r"(?:\[(?P<six>.+)\]|(?P<four>[^:]+)):(?P<port>\d{1,5})", self.listen)
        try:
            if parts is None or int(parts["port"]) > 65535:
                raise ValueError
            return str(ip_address(parts["six"] or parts["four"])), int(parts["port"])
        except ValueError:
            raise ValueError(
                f"listen = {self.listen!r}: an address with a port, as in '127.0.0.1:7323' or "
                "'[::1]:7323'"
            ) from None


def _everywhere(address: str) -> bool:
    ip = ip_address(address)
    return ip.is_unspecified or bool(getattr(ip, "ipv4_mapped", None) == IPv4Address(0))


@dataclass(frozen=True)
class ConsoleSettings:
    """``[console]``: the machines' serial lines.

    What they print is kept in ``consoles`` in ``TASKGEN_STATE``, also when a machine is gone. An
    engine that is no daemon keeps the newest boot of each machine, as long as it lives itself.

    :ivar screens: whether the daemon keeps a session of ``screen`` for each machine, which root
        attaches to by ``screen -r taskgen-3``.
    :ivar megabytes: of one boot so much of what it has printed last is kept (10**6 bytes).
    :ivar boots: so many boots of a machine are kept, the newest. A launch and each reset begin one.
    """

    __pydantic_config__ = STRICT

    screens: bool = live(True)
    megabytes: float = live(8.0)
    boots: int = live(10)

    def __post_init__(self) -> None:
        if not 0.1 <= self.megabytes <= 1e6:  # NaN is outside
            raise ValueError("megabytes must be from 0.1 to 1000000")
        if self.boots < 1:
            raise ValueError("boots must be at least 1")


@dataclass(frozen=True)
class LogSettings:
    """``[log]``: what the daemon says on standard error.

    :ivar format: ``human``, one line of text each; ``json``, one object in a line each; ``auto``:
        human on a terminal, else JSON. Terminals get colours, unless ``NO_COLOR`` is set.
    :ivar level: the least important messages that are said.
    """

    __pydantic_config__ = STRICT

    format: Literal["auto", "human", "json"] = live("auto")
    level: Literal["debug", "info", "warning", "error"] = live("info")

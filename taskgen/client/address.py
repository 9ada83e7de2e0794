"""Where the daemon is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from taskgen.errors import ConfigError
from taskgen.host.records import run_root, state_root


@dataclass(frozen=True, slots=True)
class Address:
    """Where the daemon is: a Unix socket, or else a URL.

    :ivar url: with a socket it only fills the ``Host`` of the requests.
    :ivar token: what the daemon wants to see on TCP; ``None``: nothing is shown.
    """

    socket: Path | None
    url: str
    token: str | None = None

    def __str__(self) -> str:
        return str(self.socket or self.url)

    @property
    def headers(self) -> Mapping[str, str]:
        """What each request says of who asks."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def default_socket() -> Path:
    """The daemon's socket: ``TASKGEN_SOCKET``, or ``taskgen.sock`` where the daemon puts it."""
    chosen = os.environ.get("TASKGEN_SOCKET")
    return Path(chosen).absolute() if chosen else run_root() / "taskgen.sock"


def find(
    socket: str | os.PathLike[str] | None = None, url: str | None = None, token: str | None = None
) -> Address:
    """The address of the daemon: what is given, else what the environment says, else the default.

    :param socket: default: ``TASKGEN_SOCKET``, or where the daemon puts it.
    :param url: default: ``TASKGEN_URL``, unless a socket is given.
    :param token: default: ``TASKGEN_TOKEN``; or the content of the file ``TASKGEN_TOKEN_FILE``;
        or, for a URL of the loopback, the daemon's own file, where we may read that: no other host
        is told it.
    :raises ConfigError: for a socket and a URL, a URL that is none, or a file that is not there.
    """
    if socket is not None and url is not None:
        raise ConfigError("a socket and a URL are given", hint="the daemon is at one of them")
    if socket is None and url is None:
        url = os.environ.get("TASKGEN_URL") or None
    if url is None:
        return Address(Path(socket).absolute() if socket else default_socket(), "http://localhost")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{url}: not the URL of a daemon", hint="as in http://127.0.0.1:7323")
    return Address(None, url.rstrip("/"), token or _token(local=_is_loopback(parts.hostname)))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _token(*, local: bool) -> str | None:
    if token := os.environ.get("TASKGEN_TOKEN"):
        return token
    chosen = os.environ.get("TASKGEN_TOKEN_FILE")
    if not chosen and not local:
        return None
    path = Path(chosen) if chosen else state_root() / "secrets" / "api-token"
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        if chosen:
            raise ConfigError(f"{path}: no token can be read from it: {error}") from error
        return None

"""The sockets that the API listens on."""

from __future__ import annotations

import errno
import grp
import logging
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from taskgen.errors import HostError

log = logging.getLogger(__name__)

#: Members of this group may use the Unix socket, if there is such a group.
GROUP = "taskgen"

_BACKLOG = 128


def unix_socket(path: Path, *, group: str = GROUP) -> socket.socket:
    """Listen on a Unix socket: for root, and for the members of a group. One that a dead daemon
    left is replaced.

    :param group: empty, or not there: only for root.
    :raises HostError: if somebody listens there, or it cannot be made.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # Made under another name, and moved once it is for the right people: never there half done.
    # Always the same name, so that what a crash left in between is found and replaced.
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _refuse_if_used(path)
        new.unlink(missing_ok=True)
        sock.bind(str(new))
        new.chmod(0o660 if group and _give_to(new, group, path) else 0o600)
        sock.listen(_BACKLOG)
        new.replace(path)
    except OSError as error:
        sock.close()
        with suppress(OSError):
            new.unlink()
        raise HostError(
            f"{path}: the API cannot listen there: {error.strerror or error}",
            hint="a path of at most 90 characters, in a directory that can be written",
        ) from error
    except BaseException:
        sock.close()
        raise
    return sock


def tcp_socket(host: str, port: int) -> socket.socket:
    """Listen on TCP.

    :param host: an address of this computer.
    :param port: 0: any that is free.
    :raises HostError: if that cannot be.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
    except OSError as error:
        raise HostError(f"api.listen: {host}: {error.strerror or error}") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise HostError(
            f"api.listen: cannot listen on {host} port {port}: {error.strerror}"
        ) from error
    return sock


def _refuse_if_used(path: Path) -> None:
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise HostError(f"{path}: is no socket", hint="set api.socket to another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:  # nobody has it open any more
                log.debug("%s was left by a daemon that is gone", path)
                return
            raise
    raise HostError(f"{path}: another daemon listens there", hint="taskgen status")


def _give_to(path: Path, group: str, known_as: Path) -> bool:
    """Give a file to a group; whether that was possible.

    :param known_as: what messages call it.
    """
    try:
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    except KeyError:
        log.warning("there is no group %s: only root may use %s", group, known_as)
        return False
    except PermissionError:
        log.warning("%s: cannot be given to the group %s", known_as, group)
        return False
    return True

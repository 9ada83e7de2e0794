"""Which sessions of ``screen`` there are: a socket stands for each, ``<pid>.<name>``.

Nobody listens on the socket of one that was killed. Such a socket is removed if its name is a
machine's; a session that lives is never touched.
"""

from __future__ import annotations

import logging
import re
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from taskgen.errors import HostError
from taskgen.host.output import output_of

log = logging.getLogger(__name__)

_DIRECTORY = re.compile(r"^(?:No Sockets found|\d+ Sockets?) in (/.*)\.$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Session:
    """A session.

    :ivar pid: of its process.
    :ivar path: its socket.
    """

    pid: int
    path: Path

    @property
    def alive(self) -> bool:
        """Whether somebody listens. Connecting is what ``screen -ls`` does, too."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            try:
                probe.connect(str(self.path))
            except (ConnectionRefusedError, FileNotFoundError):
                return False
            except OSError:  # not known, so it is not ours to remove
                return True
        return True

    @property
    def attached(self) -> bool:
        """Whether anybody looks at it: screen tells it by the socket's mode."""
        try:
            return bool(self.path.stat().st_mode & stat.S_IXUSR)
        except OSError:
            return False


async def directory() -> Path:
    """Where the sockets of this user are, as screen itself says.

    :raises MissingToolError: if there is no screen.
    :raises HostError: if it does not say so.
    """
    said = (await output_of(["screen", "-ls"])).text.replace("\r", "")
    if (found := _DIRECTORY.search(said)) is None:
        raise HostError(
            f"screen does not say where its sessions are: {' '.join(said.split())}",
            hint="see what screen -ls says to root",
        )
    return Path(found[1])


def sessions(place: Path, name: str) -> list[Session]:
    """The sessions of this very name, those that are dead too. Blocks for a moment.

    :param place: from :func:`directory`.
    """
    try:
        names = [path.name for path in place.iterdir()]
    except OSError:
        return []
    found = (each.partition(".") for each in names)
    return [
        Session(int(pid), place / f"{pid}.{name}")
        for pid, _, rest in found
        if rest == name and pid.isascii() and pid.isdigit()
    ]


def remove_dead(place: Path, name: str) -> list[Session]:
    """Remove the sockets that dead sessions of this name have left; those that live are returned.

    Blocks for a moment.
    """
    living = []
    for session in sessions(place, name):
        if session.alive:
            living.append(session)
            continue
        log.debug("the screen %s was dead", session.path.name)
        with suppress(OSError):
            session.path.unlink()
    return living

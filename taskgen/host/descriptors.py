"""The files and sockets that a QEMU inherits."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from taskgen.errors import HostError
from taskgen.host.accounts import Account

_SUN_PATH = 107  # unix(7), without the trailing NUL


class Descriptors:
    """Opened here and closed here; QEMU has copies under the same numbers.

    Ours are closed once it has them; else a QEMU that dies would go unnoticed.
    """

    def __init__(self) -> None:
        self.all: list[int] = []

    def open(self, path: Path, owner: Account | None) -> str:
        """Open an image; the path by which the child reaches it.

        The image may lie in a home directory that the QEMU user must not enter.
        """
        mode = path.stat().st_mode
        if owner and not mode & stat.S_IROTH and path.stat().st_uid != owner.uid:
            raise HostError(f"{path}: not readable by the QEMU user", hint=f"chmod o+r {path}")
        self.all.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        return f"/proc/self/fd/{self.all[-1]}"

    def append(self, path: Path) -> int:
        """Open a log for the child to append to; it can neither read it nor reach its path."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self.all.append(os.open(path, flags))
        return self.all[-1]

    def listen(
        self, path: Path, owner: Account | None, kind: socket.SocketKind = socket.SOCK_STREAM
    ) -> int:
        """A listening Unix socket, bound here so that a connection can be made at once."""
        if len(os.fsencode(path)) > _SUN_PATH:
            raise HostError(f"{path}: too long for a Unix socket", hint="choose a shorter place")
        with socket.socket(socket.AF_UNIX, kind) as sock:
            # The directory is the owner's: by the time that a name is used it may be a link. So the
            # socket has its mode before it has its name, and no link is followed after that.
            os.fchmod(sock.fileno(), 0o600)
            sock.bind(str(path))
            if owner:
                os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
            sock.listen(1)
            self.all.append(sock.detach())
        return self.all[-1]

    def __enter__(self) -> Descriptors:
        return self

    def __exit__(self, *exception: object) -> None:
        while self.all:
            os.close(self.all.pop())

"""The directory of what outlives a reboot.

::

    /var/lib/taskgen/     0711  TASKGEN_STATE
      daemon.lock               locked by the live daemon; its pid is for people
      queue.sqlite        0600  jobs and results, with -wal, -shm and .lock beside it
      wishes.json               what users changed while the daemon worked
      machines/           0711  records, and a directory 0700 of the QEMU user's for each machine
      consoles/           0700  what the machines' consoles said; see taskgen.host.console_log
      binaries/           0700  task binaries that were uploaded, by their SHA-256
      secrets/            0700
        api-token         0600  who knows it may use the API over TCP
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from taskgen.errors import ConfigError, HostError, PrivilegeError
from taskgen.whole_file import whole_file
from taskgen.wishes import Wishes, load_wishes, save_wishes

#: A QMP socket cannot be bound below a directory that the QEMU user cannot pass.
_DIRECTORIES = {
    "": 0o711,
    "machines": 0o711,
    "consoles": 0o700,
    "binaries": 0o700,
    "secrets": 0o700,
}

_TOKEN_BYTES = 32


@dataclass(frozen=True)
class StateDirectory:
    """The directory while this daemon has it. Made by :func:`state_directory`."""

    path: Path

    @property
    def queue(self) -> Path:
        return self.path / "queue.sqlite"

    @property
    def machines(self) -> Path:
        return self.path / "machines"

    @property
    def binaries(self) -> Path:
        return self.path / "binaries"

    def wishes(self) -> Wishes:
        """What users wished of an earlier daemon.

        :raises ConfigError: if the file cannot be used.
        """
        return load_wishes(self.path / "wishes.json")

    def keep_wishes(self, wishes: Wishes) -> None:
        """Keep what users wish now. Blocks.

        :raises HostError: if that fails.
        """
        save_wishes(self.path / "wishes.json", wishes)

    def token(self, file: Path | None = None) -> str:
        """The token of the API; made where there is none. Blocks.

        :param file: where it is; default: in the directory.
        :raises ConfigError: if the file holds none, or others may read it.
        :raises HostError: if it cannot be read or written.
        """
        path = file or self.path / "secrets" / "api-token"
        try:
            _make_token(path)
            token = path.read_text(encoding="ascii").strip()
            mode = path.stat().st_mode
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"{path}: not a token", hint="remove it; a new one is made"
            ) from error
        except OSError as error:
            raise HostError(f"{path}: {error.strerror}") from error
        if len(token) < 16:
            raise ConfigError(f"{path}: too short for a token", hint="remove it; a new one is made")
        if mode & 0o007:
            raise ConfigError(f"{path}: everybody may use it", hint=f"chmod o= {path}")
        return token


@contextmanager
def state_directory(path: Path) -> Iterator[StateDirectory]:
    """The directory for this daemon alone, while in the block; what is missing is made.

    :raises HostError: if another daemon has it, it cannot be made, or everybody may write there.
    """
    try:
        _refuse_public(path)
        for name, mode in _DIRECTORIES.items():
            _make_directory(path / name, mode)
        lock = os.open(path / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise PrivilegeError(f"{path}: {error.strerror}", hint="run as root (sudo …)") from error
    except OSError as error:
        raise HostError(f"{path}: cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "not known yet"
            raise HostError(
                f"{path}: a daemon has it already (pid {pid})",
                hint="taskgen status asks that one; for a second one, set TASKGEN_STATE, "
                "TASKGEN_RUN and network.namespace",
            ) from error
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        state = StateDirectory(path)
        # SQLite gives its other files the modes of this one.
        state.queue.touch(0o600)
        state.queue.chmod(0o600)
        yield state
    finally:
        os.close(lock)


def _refuse_public(path: Path) -> None:
    """Leave directories such as ``/tmp`` as they are: what is ours must not lie among others'."""
    if path.exists() and path.stat().st_mode & stat.S_IWOTH:
        raise HostError(
            f"{path}: everybody may write there",
            hint="set TASKGEN_STATE to a directory of its own; it is made where it is missing",
        )


def _make_directory(path: Path, mode: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)  # whatever the umask is, and whoever made it


def _make_token(path: Path) -> None:
    """Make the file where there is none, whole or not at all, and never readable for others."""
    if path.exists():
        return
    with whole_file(path, mode=0o600) as file:
        file.write(f"{secrets.token_urlsafe(_TOKEN_BYTES)}\n".encode())

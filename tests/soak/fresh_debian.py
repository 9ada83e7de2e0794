"""A fresh Debian 12 in a directory: mounts, processes and ``/run`` of its own, the host's network.

Where packages come from is taken from this host's own settings, and written nowhere but there.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inside import Said, entering, ran
from programs import needed

SUITE = "bookworm"
_PLACE, _PREFIX = Path("/var/tmp"), "taskgen-debian-"
_ARCHIVES = tuple(f"{SUITE}{part} main" for part in ("", "-updates", "-security"))
_NO_ARCHIVE = f"this host's apt knows no archive of {SUITE}, and there is no other to be taken"

#: What of our environment says how packages are fetched.
_HANDED_ON = ("PIP_", "SSL_", "http_proxy", "https_proxy", "no_proxy")
_FETCHING = tuple(f"Acquire::{key}" for key in ("http", "Check-", "Retries", "ForceIPv"))
#: What of this host's files does so.
_COPIED = (
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/pip.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/local/share/ca-certificates",
    "/root/.config/pip/pip.conf",
)

#: The first process of the namespaces: when it goes, which is when its input ends, all go with it.
#: Who ignores SIGCHLD leaves no zombies of processes that became its own.
_INIT = """
mount --make-rprivate /
mount --bind "$1" "$1"
mount -t proc proc /proc
trap '' CHLD
echo ready
exec cat
"""

_MOUNTS = """
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/net dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
for device in null zero full random urandom tty net/tun; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
"""


class Machine:
    """The system while it is up. Made by :meth:`FreshDebian.up`."""

    def __init__(self, root: Path, init: int) -> None:
        self._root = root
        self._enter = entering(init)

    def outside(self, *command: str) -> None:
        """Run a program of this host in the system's namespaces.

        :raises AssertionError: if it fails.
        """
        said = ran([*self._enter, *command], os.environ)
        assert said.status == 0, f"{shlex.join(command)}: {said.out}{said.err}"

    def call(self, line: str) -> Said:
        """What a line for the shell says."""
        environment = {name: os.environ[name] for name in os.environ if name.startswith(_HANDED_ON)}
        environment |= {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        environment |= {"HOME": "/root", "LANG": "C.UTF-8", "COLUMNS": "120"}
        return ran([*self._enter, "chroot", str(self._root), "sh", "-c", line], environment)

    def do(self, line: str) -> str:
        """What a line for the shell says that has to succeed."""
        said = self.call(line)
        assert said.status == 0, f"{line}: {said.out}{said.err}"
        return said.out


class FreshDebian:
    """The system's files. Made by :func:`fresh_debian`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def up(self) -> Iterator[Machine]:
        """The system while it is up: with its end go all its processes and mounts."""
        with subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-ec", _INIT, "init", self.root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as init:
            assert init.stdout.readline() == "ready\n"
            machine = Machine(self.root, init.pid)
            if not (self.root / "etc" / "debian_version").exists():
                self._install(machine)
            machine.outside("sh", "-ec", _MOUNTS, "mounts", str(self.root))
            yield machine
            init.stdin.close()

    def _install(self, machine: Machine) -> None:
        sources = _sources()
        mirror = sources[0].split()[0]
        options = ("--variant=minbase", SUITE, str(self.root), mirror)
        machine.outside(needed("debootstrap"), *options)
        apt = self.root / "etc" / "apt"
        (apt / "sources.list").write_text("".join(f"deb {each}\n" for each in sources))
        (apt / "apt.conf.d" / "99host").write_text(_how_to_fetch())
        for name in map(Path, _COPIED):
            target = self.root / name.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            if name.is_dir():
                shutil.copytree(name, target, dirs_exist_ok=True)
            elif name.exists():
                shutil.copyfile(name, target)


@contextmanager
def fresh_debian() -> Iterator[FreshDebian]:
    """A system in a directory of its own, which is removed in the end, or else by the next call."""
    needed("debootstrap")
    for old in _PLACE.glob(f"{_PREFIX}*"):
        _remove(old)
    root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PLACE))
    root.chmod(0o755)
    lock = os.open(root, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield FreshDebian(root)
    finally:
        os.close(lock)
        _remove(root)


def _remove(root: Path) -> None:
    """Remove a directory, unless somebody works with it."""
    lock = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(root)
    except BlockingIOError:
        return
    finally:
        os.close(lock)


def _sources() -> list[str]:
    """``URL suite components`` of this host's Debian archives, the suite itself first."""
    if not shutil.which("apt-get"):
        raise LookupError(_NO_ARCHIVE)
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    listed = ran(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], os.environ)
    found = {
        line
        for line in listed.out.splitlines()
        if line.startswith("http") and line.partition(" ")[2] in _ARCHIVES
    }
    if not found:
        raise LookupError(_NO_ARCHIVE)
    return sorted(found, key=lambda line: line.split()[1])


def _how_to_fetch() -> str:
    """This host's own settings of apt for that, such as a proxy."""
    if not shutil.which("apt-config"):
        return ""
    said = ran(["apt-config", "dump", "Acquire"], os.environ).out
    return "".join(f"{line}\n" for line in said.splitlines() if line.startswith(_FETCHING))

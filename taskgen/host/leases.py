"""DHCP leases: the server's lease file, read when the kernel says that it changed.

What such a file looks like is told by a :class:`LeaseFormat`, one for each server.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Protocol

from taskgen.errors import BootError, HostError
from taskgen.host.foreign_files import open_to_append, open_to_read
from taskgen.host.inotify import Change, Inotify

#: A server writes in several pieces, dnsmasq over what there was, so what is read between two of
#: them may join the start of one line with the end of another. So it is read once it was quiet for:
_QUIET_S = 0.002


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that the DHCP server gave to a machine.

    :ivar expires: seconds since the epoch; ``None``: never.
    """

    mac: str
    address: IPv4Address
    expires: int | None

    def valid(self, now: float) -> bool:
        """Whether it holds at ``now``, in seconds since the epoch."""
        return self.expires is None or self.expires > now


@dataclass(frozen=True)
class Said:
    """What a lease file says.

    :ivar leases: by MAC, expired ones too.
    :ivar rubbish: something in it that is no lease, for people; empty: all is as it should be.
    :ivar torn: whether it ends in the middle of a lease, which may still be on its way.
    """

    leases: Mapping[str, Lease] = field(default_factory=dict)
    rubbish: str = ""
    torn: bool = False


class LeaseFormat(Protocol):
    """How a DHCP server notes its leases."""

    def read(self, text: str) -> Said:
        """What a file's text says. Any text will do."""
        ...

    def write(self, leases: Collection[Lease]) -> str:
        """A file that says just this, for the server to read when it starts."""
        ...


class Leases:
    """The leases of a fleet, kept current. Made by :func:`watch_leases`."""

    def __init__(self, path: Path, form: LeaseFormat) -> None:
        self.path = path
        self._form = form
        self._known: dict[str, Lease] = {}
        self._forgotten: dict[str, Lease] = {}
        self._told: dict[str, Lease] = {}
        self._waiters: dict[str, list[asyncio.Event]] = {}
        self._callbacks: list[Callable[[Lease], object]] = []
        self._on_lost: list[Callable[[], object]] = []
        self._on_rubbish: list[Callable[[str], object]] = []
        self._written: Callable[[], object] = lambda: None

    def current(self, mac: str) -> Lease | None:
        """The machine's valid lease, if it has one."""
        lease = self._told.get(mac) or self._known.get(mac)
        return lease if lease and lease.valid(time.time()) else None

    def since_forgotten(self, mac: str) -> Lease | None:
        """The machine's valid lease, if it has got one since :meth:`forget`."""
        lease = self.current(mac)
        return None if lease == self._forgotten.get(mac) else lease

    def all(self) -> dict[str, Lease]:
        """All valid leases, by MAC."""
        now = time.time()
        known = self._known | self._told
        return {mac: lease for mac, lease in known.items() if lease.valid(now)}

    def forget(self, mac: str) -> None:
        """What the machine has now does not count for :meth:`wait`: it is about to boot anew.

        A lease without end does: it never changes, so nobody could tell that it was given again.
        """
        self._told.pop(mac, None)
        lease = self._known.get(mac)
        if lease and lease.expires is not None:
            self._forgotten[mac] = lease

    def told(self, lease: Lease) -> None:
        """A machine has its address not from the server but from us: as good as a lease of its own.

        It holds until :meth:`forget`. The server gives this address to nobody else.
        """
        self._told[lease.mac] = lease
        self._tell(lease)

    def on_change(self, callback: Callable[[Lease], object]) -> None:
        """Call ``callback`` with each lease that is new or changed; it must not block."""
        self._callbacks.append(callback)

    async def wait(self, mac: str, timeout_s: float) -> Lease:
        """The machine's lease, as soon as it has one that is valid and not forgotten.

        :raises BootError: if it gets none within ``timeout_s``.
        """
        changed = asyncio.Event()
        waiters = self._waiters.setdefault(mac, [])
        waiters.append(changed)
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    if lease := self.since_forgotten(mac):
                        return lease
                    changed.clear()
                    await changed.wait()
        except TimeoutError as error:
            raise BootError(
                f"no DHCP lease for {mac} within {timeout_s:g} s",
                hint="does the guest have a driver for the profile's network card?",
            ) from error
        finally:
            waiters.remove(changed)

    def on_lost(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the file was deleted or replaced; it must not block.

        The server goes on writing to the one that it has open, which nobody can read any more.
        """
        self._on_lost.append(callback)

    def on_rubbish(self, callback: Callable[[str], object]) -> None:
        """Call ``callback`` with what the file has that is no lease; it must not block."""
        self._on_rubbish.append(callback)

    def put_back(self) -> None:
        """Have the file say what is known, for a server that is about to start.

        A file that says nothing else already is left as it is.

        :raises OSError: if it cannot be written.
        """
        valid = self.all()
        text = self._read()
        if text is not None:
            said = self._form.read(text)
            if not (said.rubbish or said.torn) and said.leases == valid:
                return
        # In place: whoever watches the file goes on watching it.
        with os.fdopen(open_to_append(self.path), "w", encoding="ascii") as file:
            file.truncate(0)
            file.write(self._form.write(valid.values()))
        self._written()

    def refresh(self) -> None:
        """Read the file again, and tell who waits."""
        if (text := self._read()) is not None:
            said = self._form.read(text)
            self.learn(said.leases)
            if said.rubbish:
                for callback in self._on_rubbish:
                    callback(said.rubbish)

    def learn(self, leases: Mapping[str, Lease]) -> None:
        """Take these leases, and tell who waits."""
        changed = [lease for mac, lease in leases.items() if self._known.get(mac) != lease]
        # A lease that is absent now may only not have been written again yet. It stays until it
        # expires: an address of a slot goes to no other machine.
        self._known |= leases
        for lease in changed:
            self._tell(lease)

    def _tell(self, lease: Lease) -> None:
        for waiter in self._waiters.get(lease.mac, ()):
            waiter.set()
        for callback in self._callbacks:
            callback(lease)

    def lost(self) -> None:
        """The file was deleted or replaced."""
        for callback in self._on_lost:
            callback()

    def on_written(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` after :meth:`put_back` wrote the file."""
        self._written = callback

    def _read(self) -> str | None:
        try:
            with open_to_read(self.path) as file:
                return file.read().decode("ascii", errors="replace")
        except OSError:
            return None


@asynccontextmanager
async def watch_leases(path: Path, inotify: Inotify, form: LeaseFormat) -> AsyncIterator[Leases]:
    """Keep the leases of ``path`` current while in the block.

    The file need not exist yet, and may be deleted and come back; its directory must stay.
    """
    loop = asyncio.get_running_loop()
    leases = Leases(path, form)
    pending: asyncio.TimerHandle | None = None
    watched: os.stat_result | None = None

    def on_change() -> None:
        nonlocal pending
        if pending:
            pending.cancel()
        pending = loop.call_later(_QUIET_S, leases.refresh)

    def watch() -> bool:
        """Watch the file that is there now; whether it is another one than before."""
        nonlocal watched
        found = _identity(path)
        if found == watched or (found and watched and os.path.samestat(found, watched)):
            return False
        watched = found
        file.close()
        if found:
            with suppress(HostError):  # gone again: its directory tells
                file.enter_context(
                    inotify.watch(path, Change.MODIFY | Change.CLOSE_WRITE, on_change)
                )
            leases.refresh()
        return True

    def on_names() -> None:
        if watch():
            leases.lost()

    names = Change.CREATE | Change.DELETE | Change.MOVED_FROM | Change.MOVED_TO
    leases.on_written(watch)
    os.close(open_to_append(path))
    try:
        with ExitStack() as file, inotify.watch(path.parent, names, on_names):
            watch()
            yield leases
    finally:
        if pending:
            pending.cancel()


def _identity(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None

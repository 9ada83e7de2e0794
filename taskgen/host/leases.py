"""DHCP leases: dnsmasq's lease file, read when the kernel says that it changed."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from taskgen.errors import BootError, HostError
from taskgen.host.inotify import Change, Inotify

#: dnsmasq writes a long file in several pieces over what it was, so what is read between two of
#: them may join the start of one line with the end of another. So it is read once it was quiet for:
_QUIET_S = 0.002

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)


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

    def line(self) -> str:
        """It as dnsmasq's file has it, without what only the guest had said of itself."""
        return f"{self.expires or 0} {self.mac} {self.address} * *\n"


def parse_dnsmasq(text: str) -> dict[str, Lease]:
    """The leases of a dnsmasq lease file, by MAC, expired ones too.

    dnsmasq rewrites the file in place, so a reader may see the rest of what it was: a line is taken
    only when whole, and where a MAC comes twice the first counts.
    """
    leases: dict[str, Lease] = {}
    for line in text.splitlines(keepends=True):
        fields = line.split()
        if not line.endswith("\n") or len(fields) != 5:
            continue
        expires, mac, address = fields[0], fields[1].lower(), fields[2]
        if not (expires.isascii() and expires.isdigit()) or not _MAC.fullmatch(mac):
            continue
        try:
            lease = Lease(mac, IPv4Address(address), int(expires) or None)
        except AddressValueError:
            continue
        leases.setdefault(mac, lease)
    return leases


class Leases:
    """The leases of a fleet, kept current. Made by :func:`watch_leases`."""

    def __init__(self, path: Path, parse: Callable[[str], Mapping[str, Lease]]) -> None:
        self.path = path
        self._parse = parse
        self._known: dict[str, Lease] = {}
        self._forgotten: dict[str, Lease] = {}
        self._waiters: dict[str, list[asyncio.Event]] = {}
        self._callbacks: list[Callable[[Lease], object]] = []
        self._on_lost: list[Callable[[], object]] = []
        self._written: Callable[[], object] = lambda: None

    def current(self, mac: str) -> Lease | None:
        """The machine's valid lease, if it has one."""
        lease = self._known.get(mac)
        return lease if lease and lease.valid(time.time()) else None

    def since_forgotten(self, mac: str) -> Lease | None:
        """The machine's valid lease, if it has got one since :meth:`forget`."""
        lease = self.current(mac)
        return None if lease == self._forgotten.get(mac) else lease

    def all(self) -> dict[str, Lease]:
        """All valid leases, by MAC."""
        now = time.time()
        return {mac: lease for mac, lease in self._known.items() if lease.valid(now)}

    def forget(self, mac: str) -> None:
        """What the machine has now does not count for :meth:`wait`: it is about to boot anew."""
        if lease := self._known.get(mac):
            self._forgotten[mac] = lease

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

    def put_back(self) -> None:
        """Have the file say what is known, for a server that is about to start.

        A file that says nothing else already is left as it is.

        :raises OSError: if it cannot be written.
        """
        now = time.time()
        lines = {lease.mac: lease.line() for lease in self._known.values() if lease.valid(now)}
        text = self._read()
        if text is not None:
            said = self._parse(text)
            if len(said) == len(text.splitlines()) and said == self.all():
                return
        # In place: whoever watches the file goes on watching it.
        self.path.write_text("".join(lines.values()), encoding="ascii")
        self._written()

    def refresh(self) -> None:
        """Read the file again, and tell who waits."""
        if (text := self._read()) is not None:
            self.learn(text)

    def learn(self, text: str) -> None:
        """Take the leases of a file's text, and tell who waits. What is no lease is passed over."""
        new = dict(self._parse(text))
        changed = [lease for mac, lease in new.items() if self._known.get(mac) != lease]
        # A lease that is absent now may only not have been written again yet. It stays until it
        # expires: an address of a slot goes to no other machine.
        self._known |= new
        for lease in changed:
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
            return self.path.read_text(encoding="ascii", errors="replace")
        except OSError:
            return None


@asynccontextmanager
async def watch_leases(
    path: Path,
    inotify: Inotify,
    parse: Callable[[str], Mapping[str, Lease]] = parse_dnsmasq,
) -> AsyncIterator[Leases]:
    """Keep the leases of ``path`` current while in the block.

    The file need not exist yet, and may be deleted and come back; its directory must stay.
    """
    loop = asyncio.get_running_loop()
    leases = Leases(path, parse)
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
    os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o644))
    try:
        with ExitStack() as file, inotify.watch(path.parent, names, on_names):
            watch()
            yield leases
    finally:
        if pending:
            pending.cancel()


def _identity(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None

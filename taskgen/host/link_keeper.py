"""Keeps the fleet's links as they should be, for as long as the engine lives.

The kernel says when one of them changes; then all of them are looked at, and what is wrong is
reported, mended, and reported as over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress

from taskgen.diagnosis import Link
from taskgen.errors import HostError, NamespaceBusyError
from taskgen.host.bridge import Tap, delete_bridges
from taskgen.host.lan import Wiring
from taskgen.host.link_events import link_events
from taskgen.host.links import Findings, Links
from taskgen.host.netns import Namespace
from taskgen.host.uplink import Uplink, delete_macvlan
from taskgen.host.waiting import finish, in_thread
from taskgen.problems import Problems
from taskgen.slots import Network, Slot

log = logging.getLogger(__name__)

#: Of what this reports to :class:`~taskgen.problems.Problems`.
PROBLEM = "bridge"
UPLINK_PROBLEM = "uplink"

_BACK_OFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)


class LinkKeeper:
    """The fleet's bridge and taps, kept. Made by :func:`fleet_links`."""

    def __init__(
        self,
        namespace: Namespace,
        links: Links,
        problems: Problems,
        uplink: Uplink | None = None,
    ) -> None:
        self._namespace = namespace
        self._links = links
        self._problems = problems
        self._uplink = uplink
        self._changed = asyncio.Event()
        self._which: set[int] | None = None  # links of ours that may have changed; None: all may
        self._failures = 0
        self._uplink_failures = 0
        self._closing: dict[asyncio.Task[None], str] = {}  # the name of the tap that goes
        self._on_gone: list[Callable[[str], object]] = []
        self._on_remade: list[Callable[[], object]] = []

    @property
    def bridge_index(self) -> int:
        """The bridge's; another one when it had to be made again."""
        return self._links.bridge_index

    async def open_tap(self, slot: Slot) -> Tap:
        """Make the slot's tap and join it to the bridge.

        :raises NamespaceBusyError: if there is a device of that name.
        :raises HostError: if the kernel refuses.
        """

        def undo(tap: Tap) -> None:
            self._links.let_tap_go(tap.name)
            tap.close()

        while True:
            closing = [task for task, name in self._closing.items() if name == slot.tap]
            try:
                tap = await self._namespace.run(self._links.open_tap, slot.tap, undo=undo)
                break
            except NamespaceBusyError:
                if not closing:
                    raise
                await asyncio.wait(closing)  # the slot's last one is only about to go
        # What the kernel told of it before we knew its index was nothing to us.
        self._look_at(self._links.taps(slot.tap))
        return tap

    async def adopt_tap(self, slot: Slot, pid: int) -> bool:
        """Take over the slot's tap, which the process ``pid`` has, and join it to the bridge.

        :returns: whether it is there.
        """
        found = await self._namespace.run(self._links.adopt_tap, slot.tap, pid)
        self._look_at(self._links.taps(slot.tap))
        self._changed.set()
        return found

    async def state(self, slot: Slot) -> Link:
        """How the slot's tap is."""
        return await self._namespace.run(self._links.state, slot.tap)

    def let_tap_go(self, slot: Slot) -> None:
        """The slot's tap may go from now on, and nobody needs to hear of it. May be repeated."""
        self._links.let_tap_go(slot.tap)

    def close_tap(self, tap: Tap) -> None:
        """Close what may be a tap's last copy; it may go. Does not wait for that.

        The kernel takes the tap away within a millisecond, but comes back only when all CPUs have
        forgotten it, which takes some 15 ms.
        """
        self._links.let_tap_go(tap.name)
        closing = asyncio.create_task(in_thread(None, tap.close), name=f"close {tap.name}")
        self._closing[closing] = tap.name
        closing.add_done_callback(self._closing.pop)

    async def closed(self) -> None:
        """Wait until all taps are gone that were to be closed."""
        while self._closing:
            await asyncio.wait(tuple(self._closing))

    def on_tap_gone(self, callback: Callable[[str], object]) -> None:
        """Call ``callback`` with the name of each tap that goes though nobody let it go, once."""
        self._on_gone.append(callback)

    def on_remade(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` when the bridge had to be made again."""
        self._on_remade.append(callback)

    def notice(self, changed: Collection[int] | None) -> None:
        """Links have changed: look whether ours are among them."""
        missing = self._failures or self._uplink_failures
        if changed is None or missing:
            self._look_at(None)
            self._changed.set()
        elif ours := set(filter(self._links.concerns, changed)):
            self._look_at(ours)
            self._changed.set()

    async def keep(self) -> None:
        """Wait for changes and mend what they broke, for ever."""
        while True:
            # What keeps us from mending may end without a word from the kernel.
            failures = max(self._failures, self._uplink_failures)
            limit_s = _BACK_OFF_S[min(failures, len(_BACK_OFF_S)) - 1]
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s if failures else None):
                    await self._changed.wait()
            self._changed.clear()
            which, self._which = self._which, set()
            try:
                await self._mend_uplink()
                found = await self._namespace.run(self._links.look, None if failures else which)
                self._tell_uplink(found.uplink)
                await self._mend(found)
            except (HostError, OSError) as error:
                self._failures += 1
                self._look_at(None)
                self._problems.report(
                    PROBLEM,
                    f"the fleet's network cannot be mended: {error}",
                    hint="it is tried again; machines cannot be reached meanwhile",
                    fatal=True,
                )
            else:
                self._failures = 0
                self._problems.clear(PROBLEM)

    def _look_at(self, which: Collection[int] | None) -> None:
        """With the next look at what has changed."""
        if which is None or self._which is None:
            self._which = None
        else:
            self._which.update(which)

    async def mend(self) -> None:
        """Make all as it should be, at the start.

        :raises HostError: if that cannot be.
        """
        if self._uplink:
            await self._uplink.provide(self._namespace)
        await self._namespace.run(self._links.mend)

    async def _mend_uplink(self) -> None:
        if self._uplink:
            with suppress(HostError):  # it is still missing then, which is told
                await self._uplink.provide(self._namespace)

    def _tell_uplink(self, wrong: str) -> None:
        if not wrong:
            self._uplink_failures = 0
            self._problems.clear(UPLINK_PROBLEM)
            return
        self._uplink_failures += 1
        self._problems.report(
            UPLINK_PROBLEM,
            wrong,
            hint="machines work on, but nothing on the LAN is reached; it is tried again",
        )

    async def _mend(self, found: Findings) -> None:
        for name in found.gone:
            log.warning("the tap %s is gone", name)
            for tell in self._on_gone:
                tell(name)
        if not found.wrong:
            return
        if not self._failures:
            self._problems.report(PROBLEM, f"{'; '.join(found.wrong)}: being mended")
        if await self._namespace.run(self._links.mend):
            for call in self._on_remade:
                call()

    def report_end(self, keeper: asyncio.Task[None]) -> None:
        """Say so when the task of :meth:`keep` ended by an error of its own."""
        if not keeper.cancelled() and (error := keeper.exception()):
            log.critical("the bridge is no longer watched", exc_info=error)
            self._problems.report(
                PROBLEM, f"the bridge is no longer watched: {error!r}", hint="restart the daemon"
            )


@asynccontextmanager
async def fleet_links(
    network: Network,
    namespace: Namespace,
    *,
    mark: str,
    wiring: Wiring | None = None,
    problems: Problems | None = None,
    keep: Callable[[], bool] = lambda: False,
) -> AsyncIterator[LinkKeeper]:
    """The network's bridge, up, with its address, while in the block, and kept so.

    One that bears the mark is adopted.

    :param mark: the bridge's alias, which says whose it is.
    :param wiring: how the bridge is on a LAN; ``None``: it is on none.
    :param keep: asked at the end: whether the bridge stays.
    :raises SubnetInUseError: if the subnet meets an address or a route of the host's namespace.
    :raises NamespaceBusyError: if somebody else has a device of the bridge's name.
    """
    links = Links(network, mark, is_host=namespace.is_host, wiring=wiring)
    uplink = wiring.uplink if wiring else None
    made = LinkKeeper(namespace, links, problems or Problems(), uplink)
    try:
        async with link_events(namespace, made.notice):
            await made.mend()
            keeper = asyncio.create_task(made.keep(), name="link keeper")
            keeper.add_done_callback(made.report_end)
            try:
                yield made
            finally:
                keeper.cancel()
                await finish(asyncio.wait([keeper]))
                await finish(made.closed())
    finally:
        if not keep():
            await finish(namespace.run(delete_bridges, mark))
            if uplink and not namespace.is_host:
                await finish(namespace.run(delete_macvlan))

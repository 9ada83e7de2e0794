"""The fleet's links as they should be: the bridge, and the taps of its machines on it.

All of it happens in the namespace's thread, one call after another, so that nothing is looked at
while it is being made.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from taskgen.diagnosis import Link
from taskgen.errors import HostError
from taskgen.host import hosts_bridge
from taskgen.host.bridge import Tap, delete_bridges, join, make_bridge, new_tap, set_up_bridge
from taskgen.host.lan import Wiring
from taskgen.host.lan_rules import is_bridge
from taskgen.slots import Network

_IFF_UP = 0x1  # linux/if.h


@dataclass(frozen=True)
class Findings:
    """What is not as it should be.

    :ivar wrong: a line for people for each thing that can be mended.
    :ivar gone: names of taps that nobody let go; told once.
    :ivar uplink: what is wrong with the uplink and cannot be mended now; empty: nothing.
    """

    wrong: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    uplink: str = ""


class Links:
    """The bridge and the taps of one fleet. All methods that block are for its thread.

    :param mark: the bridge's alias, which says whose it is.
    :param is_host: the namespace is the host's own, where others have links too.
    :param wiring: how the bridge is on a LAN; ``None``: it is on none.
    """

    def __init__(
        self, network: Network, mark: str, *, is_host: bool, wiring: Wiring | None = None
    ) -> None:
        self.network = network
        self.bridge_index = 0  #: 0: there is none yet
        self._mark = mark
        self._is_host = is_host
        self._uplink = wiring.uplink if wiring else None
        self._notes = wiring.notes if wiring and wiring.existing_bridge else None
        self._uplink_index = 0
        self._taps: dict[int, str] = {}

    def concerns(self, index: int) -> bool:
        """Whether a link is one of ours. May be called from anywhere."""
        return index in (self.bridge_index, self._uplink_index) or index in self._taps

    def look(self, changed: Collection[int] | None = None) -> Findings:
        """Find out what is not as it should be.

        :param changed: indexes of our links that may have changed since the last look; ``None``:
            all may have.
        """
        with IPRoute() as ipr:
            there = {index for index, _ in socket.if_nameindex()}
            gone = [i for i in tuple(self._taps) if i not in there]
            if changed is None or self._uplink or self._notes:
                links = _links(ipr)
            else:
                links = _some_links(ipr, there.intersection((self.bridge_index, *changed)))
            names = tuple(name for i in gone if (name := self._taps.pop(i, None)))
            wrong, lost = self._wrong(ipr, links), ""
            if self._uplink and self._bridge(links):
                text, mendable = self._uplink.look(ipr, links, self.bridge_index)
                wrong += [text] if text and mendable else []
                lost = "" if mendable else text
            return Findings(tuple(wrong), names, lost)

    def mend(self) -> bool:
        """Make all as it should be; nothing is changed that is so.

        :returns: whether the bridge had to be made.
        :raises SubnetInUseError: if the subnet meets one of the host's own namespace.
        :raises NamespaceBusyError: if somebody else has a device of the bridge's name.
        :raises HostError: if the kernel refuses, or the host's own bridge is gone.
        """
        made = False
        with IPRoute() as ipr:
            links = _links(ipr)
            bridge = self._bridge(links)
            if bridge is None and self._notes:
                raise HostError(f"the host's bridge {self.network.bridge} is gone")
            if bridge is None:
                delete_bridges(self._mark)  # one that somebody renamed, or that was never finished
                self.bridge_index = make_bridge(self.network, self._mark, self._is_host)
                made = True
            else:
                made = bool(self._notes) and bridge["index"] != self.bridge_index
                self.bridge_index = bridge["index"]
                self._mend_bridge(ipr, links)
            if self._uplink:
                self._uplink.join(ipr, links, self.bridge_index)
                self._uplink_index = self._uplink.index(links)
            for index, name in tuple(self._taps.items()):
                if index in links and (made or not self._is_port(links[index])):
                    self._join(index, name)
        return made

    def open_tap(self, name: str) -> Tap:
        """Make a tap and join it to the bridge.

        :raises NamespaceBusyError: if there is a device of that name.
        :raises HostError: if the kernel refuses.
        """
        tap = new_tap(self.network, name)
        self._taps[socket.if_nametoindex(name)] = name
        return tap

    def adopt_tap(self, name: str, pid: int) -> bool:
        """Take over the tap that the process ``pid`` has, if it is there."""
        link = _link(name)
        if link is None or name not in taps_of(pid):
            return False
        self._taps[link["index"]] = name
        if not self._is_port(link):
            with suppress(HostError):  # the bridge has just gone too: both will be mended
                self._join(link["index"], name)
        return True

    def state(self, name: str) -> Link:
        """How the tap of a machine is."""
        link = _link(name)
        if link is None:
            return Link.GONE
        if link.get_attr("IFLA_MASTER") != self.bridge_index:
            return Link.OFF
        return Link.UP if link["flags"] & _IFF_UP else Link.DOWN

    def taps(self, *names: str) -> set[int]:
        """The indexes of taps of ours. May be called from anywhere."""
        return {index for index, name in tuple(self._taps.items()) if name in names}

    def let_tap_go(self, name: str) -> None:
        """Nobody needs the tap any more. May be called from anywhere, and again."""
        for index in [i for i, n in tuple(self._taps.items()) if n == name]:
            self._taps.pop(index, None)

    def _bridge(self, links: Mapping[int, Any]) -> Any | None:
        """Our bridge: it bears our mark, or is the one that we know, and has the right name.

        The host's own one needs to have the name only.
        """
        for index, link in links.items():
            if self._notes and is_bridge(link):
                if link.get_attr("IFLA_IFNAME") == self.network.bridge:
                    return link
                continue
            ours = link.get_attr("IFLA_IFALIAS") == self._mark or index == self.bridge_index
            if ours and link.get_attr("IFLA_IFNAME") == self.network.bridge:
                return link
        return None

    def _wrong(self, ipr: IPRoute, links: Mapping[int, Any]) -> list[str]:
        name, bridge = self.network.bridge, self._bridge(links)
        if bridge is None or (self._notes and bridge["index"] != self.bridge_index):
            return [f"the bridge {name} was deleted"]
        wrong = []
        if not bridge["flags"] & _IFF_UP:
            wrong.append(f"the bridge {name} was set down")
        if bridge.get_attr("IFLA_IFALIAS") != self._mark and not self._notes:
            wrong.append(f"the bridge {name} has lost its alias")
        if not self._has_address(ipr, bridge["index"]):
            wrong.append(f"the bridge {name} has lost its address")
        for index, tap in tuple(self._taps.items()):
            if index in links and not self._is_port(links[index]):
                wrong.append(f"the tap {tap} was taken off the bridge {name}, or set down")
        return wrong

    def _mend_bridge(self, ipr: IPRoute, links: Mapping[int, Any]) -> None:
        bridge = links[self.bridge_index]
        if self._notes:
            hosts_bridge.set_up(ipr, bridge, self.network, self._notes)
            return
        try:
            if bridge.get_attr("IFLA_IFALIAS") != self._mark:
                ipr.link("set", index=self.bridge_index, ifalias=self._mark)
            if not bridge["flags"] & _IFF_UP or not self._has_address(ipr, self.bridge_index):
                set_up_bridge(ipr, self.bridge_index, self.network)
        except NetlinkError as error:
            raise HostError(f"bridge {self.network.bridge}: cannot be mended: {error}") from error

    def _has_address(self, ipr: IPRoute, index: int) -> bool:
        return any(
            a.get_attr("IFA_ADDRESS") == str(self.network.bridge_address)
            for a in ipr.get_addr(family=socket.AF_INET, index=index)
        )

    def _is_port(self, link: Any) -> bool:
        return link.get_attr("IFLA_MASTER") == self.bridge_index and bool(link["flags"] & _IFF_UP)

    def _join(self, index: int, name: str) -> None:
        try:
            join(self.network, index, self.bridge_index)
        except NetlinkError as error:
            with suppress(OSError):
                socket.if_indextoname(index)  # else it has gone meanwhile, and the next look tells
                raise HostError(
                    f"tap {name}: cannot join {self.network.bridge}: {error}"
                ) from error


def taps_of(pid: int) -> set[str]:
    """The taps that a process has open."""
    found = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                for line in entry.read_text(encoding="utf-8", errors="replace").splitlines():
                    if line.startswith("iff:"):
                        found.add(line.removeprefix("iff:").strip())
    return found


def _links(ipr: IPRoute) -> dict[int, Any]:
    return {link["index"]: link for link in ipr.get_links()}


def _some_links(ipr: IPRoute, indexes: Collection[int]) -> dict[int, Any]:
    """Some of them, as far as they are there: each that is decoded takes a millisecond of CPU, and
    30 kB until Python looks for cycles."""
    found = {}
    for index in indexes:
        with suppress(NetlinkError):  # it has gone just now
            found.update({link["index"]: link for link in ipr.get_links(index)})
    return found


def _link(name: str) -> Any | None:
    try:
        index = socket.if_nametoindex(name)
    except OSError:
        return None
    with IPRoute() as ipr:
        return _some_links(ipr, [index]).get(index)

"""The port by which a fleet's bridge is on a LAN: one of the host's, as long as the fleet lives.

In the host's own namespace the port itself becomes one of the bridge's. A fleet with a namespace of
its own gets a macvlan on it instead (``passthru``: all that comes in goes to the fleet). The port
never leaves the host, and the macvlan goes with the namespace, whoever deletes that.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from taskgen.errors import HostError
from taskgen.host.lan_rules import find_link, uplink_obstacle
from taskgen.host.link_notes import Did, LinkChange, LinkNotes
from taskgen.host.netns import Namespace

#: The macvlan's name, in the fleet's own namespace.
_MACVLAN = "uplink"

_IFF_UP = 0x1  # linux/if.h


class Uplink:
    """The port, and the fleet's end of it.

    :param here: the engine's own namespace, where the port is.
    :ivar end: name of the fleet's end: a port of the bridge, in the fleet's namespace.
    """

    def __init__(self, name: str, notes: LinkNotes, *, here: Namespace, is_host: bool) -> None:
        self.name = name
        self.end = name if is_host else _MACVLAN
        self._notes = notes
        self._here = here
        self._is_host = is_host

    async def provide(self, namespace: Namespace) -> None:
        """See to it that the fleet's end is there, if it can be.

        :raises HostError: if the kernel refuses.
        """
        if self._is_host or await namespace.run(_exists, self.end):
            return
        fd = await namespace.run(_this_namespace, undo=os.close)
        try:
            await self._here.run(_make_macvlan, self.name, self.end, fd, self._set_up)
        finally:
            os.close(fd)

    def look(self, ipr: IPRoute, links: Mapping[int, Any], bridge_index: int) -> tuple[str, bool]:
        """What is wrong with it, and whether that can be mended. In the fleet's thread."""
        link = self._end(links)
        if link is None:
            return f"the uplink {self.name} is gone", False
        if link.get_attr("IFLA_MASTER") == bridge_index:
            up = link["flags"] & _IFF_UP
            return ("", True) if up else (f"the uplink {self.name} was set down", True)
        if why := uplink_obstacle(ipr, link, bridge_index):
            return f"the uplink {self.name} was taken off the bridge, and {why}", False
        return f"the uplink {self.name} was taken off the bridge", True

    def join(self, ipr: IPRoute, links: Mapping[int, Any], bridge_index: int) -> None:
        """Join it to the bridge, set up, where it is not and can be. In the fleet's thread.

        It is not isolated as machines are: they and the LAN shall reach each other.

        :raises HostError: if the kernel refuses.
        """
        wrong, mendable = self.look(ipr, links, bridge_index)
        link = self._end(links)
        if not wrong or not mendable or link is None:
            return
        try:
            if self._is_host:
                if link.get_attr("IFLA_MASTER") != bridge_index:
                    self._notes.note(
                        LinkChange(
                            did=Did.JOINED,
                            name=self.end,
                            index=link["index"],
                            bridge=bridge_index,
                        )
                    )
                self._set_up(ipr, link)
            ipr.link("set", index=link["index"], master=bridge_index, state="up")
        except NetlinkError as error:
            raise HostError(f"uplink {self.name}: cannot join the bridge: {error}") from error
        except OSError as error:
            raise HostError(f"uplink {self.name}: cannot be noted: {error}") from error

    def index(self, links: Mapping[int, Any]) -> int:
        """The index of the fleet's end; 0: there is none."""
        link = self._end(links)
        return link["index"] if link else 0

    async def prepare(self) -> None:
        """Set the port up, so that it can be asked what is behind it.

        :raises HostError: if the kernel refuses.
        """
        await self._here.run(_with_link, self.name, self._set_up)

    def _end(self, links: Mapping[int, Any]) -> Any | None:
        found = [link for link in links.values() if link.get_attr("IFLA_IFNAME") == self.end]
        return found[0] if found else None

    def _set_up(self, ipr: IPRoute, link: Any) -> None:
        if not link["flags"] & _IFF_UP:
            self._notes.note(LinkChange(did=Did.SET_UP, name=self.name, index=link["index"]))
            ipr.link("set", index=link["index"], state="up")


def delete_macvlan() -> None:
    """Delete the fleet's end of an uplink, if there is one. In the thread of its own namespace.

    It would go with the namespace too, but the port is free only once it is gone.
    """
    with IPRoute() as ipr, suppress(NetlinkError):
        if (link := find_link(ipr, _MACVLAN)) is not None:
            ipr.link("del", index=link["index"])


def _exists(name: str) -> bool:
    with suppress(OSError):
        return bool(socket.if_nametoindex(name))
    return False


def _this_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _with_link(name: str, function: Callable[[IPRoute, Any], None]) -> None:
    with IPRoute() as ipr:
        link = find_link(ipr, name)
        if link is None:
            raise HostError(f"uplink {name}: it is gone", hint="ip link shows what there is")
        try:
            function(ipr, link)
        except NetlinkError as error:
            raise HostError(f"uplink {name}: cannot be set up: {error}") from error


def _make_macvlan(
    name: str, end: str, namespace: int, set_up: Callable[[IPRoute, Any], None]
) -> None:
    with IPRoute() as ipr:
        link = find_link(ipr, name)
        if link is None or uplink_obstacle(ipr, link, 0):
            return  # told by whoever looks at the end, which is missing
        try:
            set_up(ipr, link)
            ipr.link(
                "add",
                ifname=end,
                kind="macvlan",
                link=link["index"],
                macvlan_mode="passthru",
                net_ns_fd=namespace,
            )
        except NetlinkError as error:
            raise HostError(
                f"uplink {name}: cannot be joined to the fleet: {error}",
                hint="is it used by a virtual machine or a container (macvlan)?",
            ) from error

"""A bridge that is the host's own, and stays that: the fleet is a guest on it.

It is given an address of the fleet's, and set up if it is not, which is noted and undone; nothing
else of it is changed, and it is never made or deleted.
"""

from __future__ import annotations

import socket
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from taskgen.errors import HostError
from taskgen.host.link_notes import Did, LinkChange, LinkNotes
from taskgen.slots import Network

_IFF_UP = 0x1  # linux/if.h


def set_up(ipr: IPRoute, bridge: Any, network: Network, notes: LinkNotes) -> None:
    """Give the bridge the fleet's address, and set it up; what is so already stays.

    :raises HostError: if the kernel refuses, or it cannot be noted.
    """
    index, name = bridge["index"], network.bridge
    address, length = str(network.bridge_address), network.subnet.prefixlen
    there = {a.get_attr("IFA_LOCAL") for a in ipr.get_addr(family=socket.AF_INET, index=index)}
    try:
        if not bridge["flags"] & _IFF_UP:
            notes.note(LinkChange(did=Did.SET_UP, name=name, index=index))
            ipr.link("set", index=index, state="up")
        if address not in there:
            given = f"{address}/{length}"
            notes.note(LinkChange(did=Did.ADDRESS, name=name, index=index, address=given))
            ipr.addr("add", index=index, address=address, prefixlen=length)
    except NetlinkError as error:
        raise HostError(f"bridge {name}: cannot be used: {error}") from error
    except OSError as error:
        raise HostError(f"bridge {name}: cannot be noted: {error}") from error

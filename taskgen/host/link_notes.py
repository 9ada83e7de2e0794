"""What a fleet did to links that are not its own, on disk, so that it is undone after a crash too.

Each change is noted before it is made, in ``links.json`` of the fleet's directory. Undoing looks at
the link again: what somebody else has changed since then is left as they want it. All of it blocks,
and is for a thread in the engine's own network namespace.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute, NetlinkError

from taskgen.config import STRICT
from taskgen.host.records import is_torn, read_json, write_json

#: In the fleet's directory.
LINKS_FILE = "links.json"

_IFF_UP = 0x1  # linux/if.h


class Did(StrEnum):
    """What was done to a link."""

    SET_UP = "set up"
    JOINED = "joined to a bridge"
    ADDRESS = "given an address"


@dataclass(frozen=True, kw_only=True)
class LinkChange:
    """One change.

    :ivar name: the link's, as for ``index``: it is the same link only if both are.
    :ivar bridge: index of the bridge that it was joined to.
    :ivar address: that it was given, with the length of its prefix.
    """

    __pydantic_config__ = STRICT

    did: Did
    name: str
    index: int
    bridge: int = 0
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class _LinkRecord:
    """``links.json``.

    :ivar namespace: inode of the network namespace that the links are in.
    """

    __pydantic_config__ = STRICT

    namespace: int
    changes: tuple[LinkChange, ...] = ()
    version: int = 1


class LinkNotes:
    """The changes that one fleet made.

    :param directory: the fleet's.
    """

    def __init__(self, directory: Path) -> None:
        self._file = directory / LINKS_FILE

    def note(self, change: LinkChange) -> None:
        """Note a change that is about to be made; one of the same kind to the link is replaced.

        :raises OSError: if it cannot be kept: then the change must not be made.
        """
        record = self._read() or _LinkRecord(namespace=_this_namespace())
        others = [c for c in record.changes if (c.did, c.name) != (change.did, change.name)]
        write_json(self._file, replace(record, changes=(*others, change)))

    def undo(self) -> list[str]:
        """Undo all that is still as it was done, the last first; a line for people for each.

        :raises ConfigError: if another version of Taskgen wrote the notes.
        """
        record = self._read()
        done: list[str] = []
        if record and record.namespace == _this_namespace():
            with IPRoute() as ipr:
                for change in reversed(record.changes):
                    with suppress(NetlinkError):  # it can only have changed in this moment
                        if line := _undo(ipr, change):
                            done.append(line)
        self._file.unlink(missing_ok=True)
        return done

    def _read(self) -> _LinkRecord | None:
        if not self._file.exists() or is_torn(self._file):
            return None
        return read_json(self._file, _LinkRecord)


def _this_namespace() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def _undo(ipr: IPRoute, change: LinkChange) -> str:
    found = [link for link in ipr.get_links() if link["index"] == change.index]
    if not found or found[0].get_attr("IFLA_IFNAME") != change.name:
        return ""
    return _UNDO[change.did](ipr, change, found[0])


def _set_down(ipr: IPRoute, change: LinkChange, link: Any) -> str:
    used = link.get_attr("IFLA_MASTER") or list(
        ipr.get_addr(family=socket.AF_INET, index=change.index)
    )
    if used or not link["flags"] & _IFF_UP:
        return ""
    ipr.link("set", index=change.index, state="down")
    return f"{change.name}, which was set up: down again"


def _release(ipr: IPRoute, change: LinkChange, link: Any) -> str:
    if link.get_attr("IFLA_MASTER") != change.bridge:
        return ""
    ipr.link("set", index=change.index, master=0)
    return f"{change.name} from its bridge"


def _remove_address(ipr: IPRoute, change: LinkChange, link: Any) -> str:
    address, _, length = change.address.partition("/")
    there = [
        a
        for a in ipr.get_addr(family=socket.AF_INET, index=change.index)
        if a.get_attr("IFA_LOCAL") == address and a["prefixlen"] == int(length)
    ]
    if not there:
        return ""
    ipr.addr("del", index=change.index, address=address, prefixlen=int(length))
    return f"address {address} from {change.name}"


_UNDO: dict[Did, Callable[[IPRoute, LinkChange, Any], str]] = {
    Did.SET_UP: _set_down,
    Did.JOINED: _release,
    Did.ADDRESS: _remove_address,
}

"""Slots: machine *n* always has the same name, MAC, address and tap.

The address that a slot is meant to get is known; the one that its guest has is learnt from the
lease, never assumed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from taskgen.config import STRICT, load
from taskgen.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Slot:
    """The fixed names and addresses of machine ``number`` (from 1)."""

    number: int
    mac: str
    address: IPv4Address

    @property
    def name(self) -> str:
        return f"taskgen-{self.number}"

    @property
    def tap(self) -> str:
        return f"taskgen{self.number}"


@dataclass(frozen=True)
class Network:
    """``network/network.toml``, which explains each key."""

    __pydantic_config__ = STRICT

    subnet: IPv4Network
    bridge: str
    bridge_address: IPv4Address
    mac_prefix: str
    slots: int
    lease_time_s: int | Literal["infinite"]
    isolate: bool = True

    def __post_init__(self) -> None:
        # A device's name has 15 characters at most (IFNAMSIZ, linux/if.h).
        if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.-]{0,14}", self.bridge):
            raise ValueError(f"bridge {self.bridge!r}: not a name for a network device")
        if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){4}", self.mac_prefix):
            raise ValueError(f"mac_prefix {self.mac_prefix!r}: five bytes like 0a:06:00:00:00")
        if int(self.mac_prefix[:2], 16) & 1:
            raise ValueError(f"mac_prefix {self.mac_prefix!r}: is a multicast address")
        if self.bridge_address not in self.subnet:
            raise ValueError(f"bridge_address {self.bridge_address}: is not in {self.subnet}")
        room = min(self.subnet.num_addresses - 2, 253)
        if not 1 <= self.slots <= room:
            raise ValueError(f"slots {self.slots}: {self.subnet} has room for 1 to {room}")
        if int(self.bridge_address) - int(self.subnet.network_address) in range(1, self.slots + 1):
            raise ValueError(f"bridge_address {self.bridge_address}: is the address of a slot")
        if self.lease_time_s != "infinite" and self.lease_time_s < 120:
            raise ValueError(f"lease_time_s {self.lease_time_s}: DHCP servers want at least 120")

    def slot(self, number: int) -> Slot:
        """Slot ``number``, from 1.

        :raises ConfigError: if the network has no such slot.
        """
        if not 1 <= number <= self.slots:
            raise ConfigError(f"slot {number}: the network has slots 1 to {self.slots}")
        return Slot(
            number=number,
            mac=f"{self.mac_prefix}:{number:02x}",
            address=self.subnet.network_address + number,
        )


def load_network(path: Path) -> Network:
    """Read ``network.toml``.

    :raises ConfigError: naming the file and the key.
    """
    return load(path, Network)

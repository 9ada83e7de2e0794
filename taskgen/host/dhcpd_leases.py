"""The lease file of ISC's dhcpd: a block for each change of a lease, the last one counts.

See dhcpd.leases(5). ::

    lease 10.200.45.1 {
      starts 1 2026/11/23 09:39:26;
      ends 1 2026/11/23 10:39:26;
      binding state active;
      hardware ethernet 0a:06:00:00:00:01;
    }
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address

from taskgen.host.leases import Lease, Said

_HEAD = re.compile(r"lease ([0-9.]+) \{", re.ASCII)
#: What else dhcpd writes at the start of a line.
_OTHERS = ("#", "authoring-byte-order ", "server-duid ")
_MAC = re.compile(r"ethernet ([0-9a-f]{2}(?::[0-9a-f]{2}){5})", re.ASCII)
#: "epoch" is what ``db-time-format local`` makes of it, with a comment behind.
_EPOCH = re.compile(r"epoch ([0-9]{1,12})", re.ASCII)


@dataclass
class _Block:
    """One block: its line, its address, and of each statement's first word the rest."""

    number: int
    address: str
    statements: dict[str, str] = field(default_factory=dict)


class DhcpdLeases:
    """The format of dhcpd's lease file."""

    def read(self, text: str) -> Said:
        """The leases of a file's text.

        dhcpd appends to the file, so what is not whole at its end is still being written.
        """
        by_address: dict[str, Lease | None] = {}
        rubbish: list[str] = []
        block: _Block | None = None
        lines = text.split("\n")
        for number, line in enumerate(lines[:-1], start=1):  # the last one is not whole, or empty
            if head := _HEAD.fullmatch(line):
                if block:
                    rubbish.append(f"line {block.number}: a lease without an end")
                block = _Block(number, head[1])
            elif block and line == "}":
                try:
                    by_address[block.address] = _lease(block)
                except ValueError as error:
                    rubbish.append(f"line {block.number}: {error}")
                block = None
            elif block and line.startswith("  "):
                word, _, rest = line.strip().partition(" ")
                block.statements[word] = rest.partition(";")[0]
            elif line and not (block is None and line.startswith(_OTHERS)):
                rubbish.append(f"line {number}: {line[:60]!r}")
        leases = {lease.mac: lease for lease in by_address.values() if lease}
        torn = bool(block or lines[-1])
        return Said(leases, rubbish[0] if rubbish else "", torn)

    def write(self, leases: Collection[Lease]) -> str:
        """A file with these leases."""
        return "".join(map(_block, leases))


def _lease(block: _Block) -> Lease | None:
    """The lease of a block; ``None``: the address is not leased.

    :raises ValueError: if it is no block of dhcpd's.
    """
    said = block.statements
    state = said.get("binding")
    if state is None:
        raise ValueError("a lease without a state")
    if state != "state active":
        return None
    mac = _MAC.fullmatch(said.get("hardware", "").lower())
    if mac is None:
        raise ValueError("a lease without a MAC")
    try:
        address = IPv4Address(block.address)
    except AddressValueError as error:
        raise ValueError(f"no address: {error}") from error
    return Lease(mac[1], address, _time(said.get("ends", "")))


def _time(text: str) -> int | None:
    if text == "never":
        return None
    if epoch := _EPOCH.fullmatch(text):
        return int(epoch[1])
    # The day of the week is said first, for people. Times are UTC.
    moment = datetime.strptime(text.partition(" ")[2], "%Y/%m/%d %H:%M:%S")
    return int(moment.replace(tzinfo=UTC).timestamp())


def _block(lease: Lease) -> str:
    ends = "never" if lease.expires is None else f"epoch {lease.expires}"
    return (
        f"lease {lease.address} {{\n"
        "  starts epoch 0;\n"
        f"  ends {ends};\n"
        "  binding state active;\n"
        "  next binding state free;\n"
        f"  hardware ethernet {lease.mac};\n"
        "}\n"
    )

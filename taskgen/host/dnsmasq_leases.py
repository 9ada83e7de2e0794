"""dnsmasq's lease file: a line for each lease."""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address

from taskgen.host.leases import Lease, Said

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.ASCII)


class DnsmasqLeases:
    """The format of dnsmasq's lease file."""

    def read(self, text: str) -> Said:
        """The leases of a file's text.

        dnsmasq rewrites the file in place, so a reader may see the rest of what it was: a line is
        taken only when whole, and where a MAC comes twice the first counts.
        """
        leases: dict[str, Lease] = {}
        rubbish = ""
        for line in text.splitlines(keepends=True):
            lease = _lease(line.split()) if line.endswith("\n") else None
            if lease and lease.mac not in leases:
                leases[lease.mac] = lease
            else:
                rubbish = rubbish or repr(line)
        return Said(leases, rubbish)

    def write(self, leases: Collection[Lease]) -> str:
        """A file with these leases, without what only the guests had said of themselves."""
        return "".join(f"{each.expires or 0} {each.mac} {each.address} * *\n" for each in leases)


def _lease(fields: list[str]) -> Lease | None:
    if len(fields) != 5:
        return None
    expires, mac, address = fields[0], fields[1].lower(), fields[2]
    if not (expires.isascii() and expires.isdigit()) or not _MAC.fullmatch(mac):
        return None
    try:
        return Lease(mac, IPv4Address(address), int(expires) or None)
    except AddressValueError:
        return None

"""The configuration of ISC's dhcpd, as the top-level ``dhcpd.conf`` has it; see dhcpd.conf(5).

An entry ``host … fixed-address`` for each slot would be shorter, but such addresses never appear in
the lease file, and nobody would learn that a machine has got one. So each slot has a pool with one
address, which only the class of its MAC may have.
"""

from __future__ import annotations

from taskgen.slots import Network

_HEAD = """\
# ISC dhcpd for the fleet's network: each slot has its address by its MAC, and nobody else gets one.
# Generated from network/network.toml by: taskgen network dhcpd-conf
"""

_ENDLESS_S = 0xFFFFFFFF  # RFC 2131, 3.3

_RULES = """\
not authoritative;           # it tells no stranger that an address of elsewhere is wrong
ddns-update-style none;
ping-check false;            # it would delay a first lease by a second
min-secs 0;
ignore-client-uids true;     # Genode's clients send none, or odd ones: the MAC alone is the key
one-lease-per-client true;
dhcp-cache-threshold 0;      # each renewal is written to the lease file
ignore declines;             # a slot has no second address to go to
"""


def dhcpd_config(network: Network) -> str:
    """dhcpd's configuration file for the network."""
    slots = [network.slot(number) for number in range(1, network.slots + 1)]
    lease_time_s = _ENDLESS_S if network.lease_time_s == "infinite" else network.lease_time_s
    lines = [
        _HEAD,
        f"local-address {network.bridge_address};",
        f"default-lease-time {lease_time_s};",
        f"min-lease-time {lease_time_s};",
        f"max-lease-time {lease_time_s};",
        _RULES,
        *(
            f'class "{slot.name}" {{ match if substring(hardware, 0, 7) = 1:{slot.mac}; }}'
            for slot in slots
        ),
        "",
        f"subnet {network.subnet.network_address} netmask {network.subnet.netmask} {{",
        *(f'  pool {{ range {slot.address}; allow members of "{slot.name}"; }}' for slot in slots),
        "}",
    ]
    return "\n".join(lines) + "\n"

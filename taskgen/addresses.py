"""Which addresses a user means: single ones, CIDR ranges, host names, or a list of them.

Nothing is listed in memory: a range is two numbers, however many addresses it has.
"""

from __future__ import annotations

import bisect
import itertools
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import overload

from taskgen.errors import ConfigError

#: Finds the IPv4 addresses of a host name, as text; raises ``OSError`` if it cannot.
Resolve = Callable[[str], Iterable[str]]

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?", re.ASCII)
_FORMS = "an address like 172.25.1.2, a range like 172.25.1.0/24, or a host name"


class Addresses(Sequence[IPv4Address]):
    """IPv4 addresses, each once, in ascending order. Constant memory for each range.

    Made by :func:`parse_hosts`.

    :param ranges: first and last address of each, as numbers; they may overlap.
    :param names: host names by the address that they stand for.
    """

    def __init__(
        self, ranges: Iterable[tuple[int, int]], names: Mapping[IPv4Address, str] | None = None
    ) -> None:
        self._ranges = _merged(ranges)
        self._names = dict(names or {})
        sizes = (last - first + 1 for first, last in self._ranges)
        # Where each range begins among all addresses, and behind the last one the number of all.
        self._starts = [0, *itertools.accumulate(sizes)]

    def without(self, first: IPv4Address, last: IPv4Address) -> Addresses:
        """All but those from ``first`` to ``last``."""
        low, high = int(first), int(last)
        parts = ((a, min(b, low - 1)) for a, b in self._ranges)
        rest = ((max(a, high + 1), b) for a, b in self._ranges)
        kept = [(a, b) for a, b in (*parts, *rest) if a <= b]
        return Addresses(kept, self._names)

    def name(self, address: IPv4Address) -> str:
        """What the user calls it: its host name with the address, else the address."""
        name = self._names.get(address)
        return f"{name} ({address})" if name else str(address)

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> IPv4Address: ...

    @overload
    def __getitem__(self, index: slice) -> list[IPv4Address]: ...

    def __getitem__(self, index: int | slice) -> IPv4Address | list[IPv4Address]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        wanted = index + len(self) if index < 0 else index
        if not 0 <= wanted < len(self):
            raise IndexError(f"there are {len(self)} addresses, not {index}")
        place = bisect.bisect_right(self._starts, wanted) - 1
        return IPv4Address(self._ranges[place][0] + wanted - self._starts[place])

    def __iter__(self) -> Iterator[IPv4Address]:
        for first, last in self._ranges:
            yield from map(IPv4Address, range(first, last + 1))

    def __contains__(self, address: object) -> bool:
        number = int(address) if isinstance(address, IPv4Address) else -1
        place = bisect.bisect_right(self._ranges, (number, 2**32)) - 1
        return place >= 0 and number <= self._ranges[place][1]

    def __str__(self) -> str:
        return ", ".join(
            str(IPv4Address(first))
            if first == last
            else f"{IPv4Address(first)}-{IPv4Address(last)}"
            for first, last in self._ranges
        )


def resolve(name: str) -> list[str]:
    """Ask the system for the IPv4 addresses of a host name. Blocks as long as that takes.

    :raises OSError: if it knows none.
    """
    found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def parse_hosts(hosts: str | Iterable[str], resolve: Resolve = resolve) -> Addresses:
    """The addresses that a user names. Overlaps are removed.

    A range leaves out its network and its broadcast address, which no host has; a ``/31`` has
    neither (RFC 3021), a ``/32`` is one address. Whoever names such an address by itself gets it.
    Of a host name with several addresses the first is taken: they are one host.

    :param hosts: an address, a CIDR range, a host name, or several.
    :raises ConfigError: naming what cannot be understood, found or reached.
    """
    entries = [hosts] if isinstance(hosts, str) else list(hosts)
    if not entries:
        raise ConfigError("no hosts are named", hint=f"name {_FORMS}, or a list of them")
    ranges: list[tuple[int, int]] = []
    names: dict[IPv4Address, str] = {}
    for entry in entries:
        if not isinstance(entry, str):
            raise ConfigError(f"host {entry!r}: not text", hint=_FORMS)
        text = entry.strip()
        if "/" in text:
            ranges.append(_range(text))
            continue
        address = _address(text)
        if address is None:
            address = _resolved(text, resolve)
            names[address] = text
        _refuse_unreachable(text, address, address)
        ranges.append((int(address), int(address)))
    return Addresses(ranges, names)


def _address(text: str) -> IPv4Address | None:
    """The address; ``None`` if it may be a host name."""
    try:
        return IPv4Address(text)
    except AddressValueError as error:
        if ":" in text:
            raise ConfigError(
                f"host {text!r}: IPv6 addresses and ports are not possible here",
                hint="the port is set by hosts.port",
            ) from error
        if re.fullmatch(r"[0-9.]+", text):
            raise ConfigError(f"host {text!r}: not an IPv4 address: {error}") from error
        if not _HOST_NAME.fullmatch(text):
            raise ConfigError(f"host {text!r}: cannot be understood", hint=_FORMS) from error
        return None


def _resolved(name: str, resolve: Resolve) -> IPv4Address:
    try:
        found = list(resolve(name))
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"host {name!r}: no address is known: {reason}") from error
    if not found:
        raise ConfigError(f"host {name!r}: no IPv4 address is known")
    return IPv4Address(found[0])


def _range(text: str) -> tuple[int, int]:
    try:
        network = IPv4Network(text)
    except (AddressValueError, NetmaskValueError) as error:
        raise ConfigError(f"range {text!r}: not a CIDR range: {error}", hint=_FORMS) from error
    except ValueError as error:  # bits are set behind the prefix
        meant = IPv4Network(text, strict=False)
        raise ConfigError(
            f"range {text!r}: {text.partition('/')[0]} is an address within {meant}",
            hint=f"write {meant}, or leave the /{meant.prefixlen} out",
        ) from error
    first, last = int(network.network_address), int(network.broadcast_address)
    _refuse_unreachable(text, IPv4Address(first), IPv4Address(last))
    return (first, last) if network.prefixlen >= 31 else (first + 1, last - 1)


def _refuse_unreachable(text: str, first: IPv4Address, last: IPv4Address) -> None:
    """Multicast and reserved addresses, and "this network", belong to no host."""
    if last >= IPv4Address("224.0.0.0") or first < IPv4Address("1.0.0.0"):
        raise ConfigError(f"host {text!r}: no host can have such an address")


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged

"""Sets of CPUs as the kernel writes them: ``0-2,5``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PART = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


def parse_cpus(text: str) -> frozenset[int]:
    """The CPUs of a list such as ``0-2,5``; an empty one has none.

    :raises ValueError: if it is no such list.
    """
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise ValueError(f"{text!r} is no list of CPUs such as '0-2,5'")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise ValueError(f"{part!r} in {text!r}: the last CPU is before the first")
        found.update(range(first, last + 1))
    return frozenset(found)


def format_cpus(cpus: Iterable[int]) -> str:
    """The shortest list of them: ``0-2,5``."""
    ranges: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)

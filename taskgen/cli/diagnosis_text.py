"""What was wrong with a machine, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from taskgen.cli.units import moment
from taskgen.printable import printable
from taskgen.resources import Diagnosis

_WHILE = {
    "start": "it was getting ready",
    "run": "it carried out a run",
    "idle": "it had nothing to do",
}


def diagnosis_facts(found: Diagnosis, title: str) -> Iterator[tuple[str, str | Text]]:
    """A diagnosis as names and values.

    :param title: the name of the first one.
    """
    yield title, Text(printable(found.text), style="bold")
    yield "verdict", f"{found.verdict}, at {moment(found.at)}, while {_WHILE[found.doing]}"
    for number, line in enumerate(found.evidence):
        yield "seen" if number == 0 else "", printable(line)
    if found.cause:
        yield "likely", printable(found.cause)
    if found.memory_dump:
        yield "memory", found.memory_dump

"""The lines that every script measures, how they are printed and how they are kept."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.tools.host import host_facts

#: From which variation of the floor itself on it is said.
NOISY = 0.03

#: The fastest and the slowest round.
Range = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of the table.

    :ivar floor: what the bare thing takes; a limit where there is no bare thing.
    :ivar goal: the largest ``ratio`` that is good enough.
    :ivar floor_range: its fastest and its slowest round; ``None``: it is a limit.
    :ivar ours_range: likewise.
    :ivar noise: how far the middle half of the floor's rounds lies apart, as a part of the floor.
    :ivar prototype: what the prototypes took for the same, from their published constants, in
        ``unit``; ``None``: they did nothing of the kind.
    """

    name: str
    floor: float
    ours: float
    ratio: float
    goal: float
    unit: str
    floor_range: Range | None = None
    ours_range: Range | None = None
    noise: float = 0.0
    prototype: float | None = None

    @property
    def missed(self) -> bool:
        return self.ratio > self.goal

    @property
    def spread(self) -> str:
        """From the fastest to the slowest round of each side, in words."""
        floor = _range(self.floor_range) if self.floor_range else "limit"
        return f"{floor} | {_range(self.ours_range)}" if self.ours_range else ""

    @property
    def row(self) -> dict[str, Any]:
        """Itself as plain data."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Line:
        """What was :attr:`row`, also after JSON."""
        line = cls(**row)
        return replace(line, floor_range=_pair(line.floor_range), ours_range=_pair(line.ours_range))


def compare(
    name: str,
    floor: Sequence[float],
    ours: Sequence[float],
    *,
    goal: float,
    unit: str,
    prototype: float | None = None,
    of: Callable[[Sequence[float]], float] = statistics.median,
) -> Line:
    """A line from the measurements of several rounds: the median of each side.

    Rounds that were interleaved meet the same neighbours, so a slow one hits both sides.

    :param of: what is taken of the rounds instead; ``min`` where other work can only slow them.
    """
    low, high = of(floor), of(ours)
    return Line(
        *(name, low, high, high / low, goal, unit),
        floor_range=(min(floor), max(floor)),
        ours_range=(min(ours), max(ours)),
        noise=_middle_half(floor) / low,
        prototype=prototype,
    )


def within(
    name: str, limit: float, ours: Sequence[float], *, unit: str, prototype: float | None = None
) -> Line:
    """A line whose goal is a figure: the limit stands where otherwise the floor does."""
    high = statistics.median(ours)
    ours_range = min(ours), max(ours)
    return Line(
        *(name, limit, high, high / limit, 1.0, unit), ours_range=ours_range, prototype=prototype
    )


def print_table(title: str, lines: Iterable[Line]) -> None:
    """Print the lines; a missed goal is said, and is no error."""
    lines = tuple(lines)
    spread = any(line.spread for line in lines)
    prototype = any(line.prototype is not None for line in lines)
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("what", overflow="fold")
    for heading in ("floor", "ours", "ratio", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    if spread:
        table.add_column("spread, floor | ours", no_wrap=True)
    if prototype:
        table.add_column("prototype", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for line in lines:
        table.add_row(
            line.name,
            f"{line.floor:.4g}",
            f"{line.ours:.4g}",
            f"{line.ratio:.3f}",
            f"≤ {line.goal:.2f}",
            line.unit,
            *([line.spread] if spread else []),
            *(["" if line.prototype is None else f"{line.prototype:.4g}"] if prototype else []),
            "[red]missed[/red]" if line.missed else "[green]met[/green]",
        )
    console = Console()
    if not console.is_terminal:  # in a file, nobody can make the window wider
        console = Console(width=140)
    noise = max((line.noise for line in lines), default=0.0)
    if noise > NOISY:
        table.caption = (
            f"Noisy: the floor alone varies by {noise:.0%} from round to round: there is other work"
            " on this host, or below it. A ratio that misses by less than that says little."
        )
        table.caption_justify = "left"
    console.print(table)


def write_json(path: Path, lines: Iterable[Line]) -> None:
    """Write the lines, and on which host they were measured."""
    kept = {"host": host_facts(), "lines": [line.row for line in lines]}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> list[Line]:
    """The lines of what :func:`write_json` wrote."""
    return [Line.from_row(row) for row in json.loads(path.read_text("utf-8"))["lines"]]


def parser(description: str | None) -> argparse.ArgumentParser:
    """What every script understands."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the lines here too")
    made.add_argument("--quick", action="store_true", help="fewer rounds and machines: less exact")
    return made


def report(title: str, lines: Sequence[Line], options: argparse.Namespace) -> None:
    """Print the table of a script, and write it where ``--json`` says."""
    print_table(title, lines)
    if options.json:
        write_json(options.json, lines)


def _middle_half(values: Sequence[float]) -> float:
    """How far the first quartile and the third lie apart."""
    if len(values) < 2:
        return 0.0
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return third - first


def _range(values: Range) -> str:
    return f"{values[0]:.3g} to {values[1]:.3g}"


def _pair(values: Sequence[float] | None) -> Range | None:
    return (values[0], values[1]) if values else None

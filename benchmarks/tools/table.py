"""The lines that every script measures, how they are printed and how they are kept."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

#: From which variation of the floor itself on it is said.
NOISY = 0.03

KEYS = ("name", "floor", "ours", "ratio", "goal", "unit")


@dataclass(frozen=True)
class Line:
    """One line of the table.

    :ivar floor: what the bare thing takes.
    :ivar goal: the largest ``ratio`` that is good enough.
    :ivar spread: from the fastest to the slowest round of each side, in words.
    :ivar noise: how far the middle half of the floor's rounds lies apart, as a part of the floor.

    Spread and noise are for the table only.
    """

    name: str
    floor: float
    ours: float
    ratio: float
    goal: float
    unit: str
    spread: str = ""
    noise: float = 0.0

    @property
    def missed(self) -> bool:
        return self.ratio > self.goal


def compare(
    name: str, floor: Sequence[float], ours: Sequence[float], *, goal: float, unit: str
) -> Line:
    """A line from the measurements of several rounds: the median of each side.

    Rounds that were interleaved meet the same neighbours, so a slow one hits both sides.
    """
    low, high = statistics.median(floor), statistics.median(ours)
    spread = f"{_range(floor)} | {_range(ours)}"
    return Line(name, low, high, high / low, goal, unit, spread, _middle_half(floor) / low)


def within(name: str, limit: float, ours: Sequence[float], *, unit: str) -> Line:
    """A line whose goal is a figure: the limit stands where otherwise the floor does."""
    high = statistics.median(ours)
    return Line(name, limit, high, high / limit, 1.0, unit, f"limit | {_range(ours)}")


def print_table(title: str, lines: Iterable[Line]) -> None:
    """Print the lines; a missed goal is said, and is no error."""
    lines = tuple(lines)
    spread = any(line.spread for line in lines)
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("what", overflow="fold")
    for heading in ("floor", "ours", "ratio", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    if spread:
        table.add_column("spread, floor | ours", no_wrap=True)
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
    """Write a list of objects with the keys of :data:`KEYS`."""
    rows = [{key: asdict(line)[key] for key in KEYS} for line in lines]
    path.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> list[Line]:
    """What :func:`write_json` wrote."""
    return [Line(**{key: row[key] for key in KEYS}) for row in json.loads(path.read_text("utf-8"))]


def parser(description: str | None) -> argparse.ArgumentParser:
    """What every script understands."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the lines here too")
    made.add_argument("--quick", action="store_true", help="fewer rounds: less exact")
    return made


def _middle_half(values: Sequence[float]) -> float:
    """How far the first quartile and the third lie apart."""
    if len(values) < 2:
        return 0.0
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return third - first


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}"

"""The lines that every script measures, how they are printed and how they are kept."""

from __future__ import annotations

import argparse
import json
import math
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
    :ivar ratio_range: between which the ratio lies with a probability of 95 % at least, as far as
        so few rounds can tell; ``None``: of rounds that were not taken in pairs nothing is known.
    :ivar noise: how far the middle half of the floor's rounds lies apart, as a part of the floor.
    :ivar prototype: what the prototypes took for the same, from their published constants, in
        ``unit``; ``None``: they did nothing of the kind.
    :ivar parts: what adds up to ours less the floor, by name; ``None``: that was not looked into.
    :ivar note: what else tells why ours is as it is.
    """

    name: str
    floor: float
    ours: float
    ratio: float
    goal: float
    unit: str
    floor_range: Range | None = None
    ours_range: Range | None = None
    ratio_range: Range | None = None
    noise: float = 0.0
    prototype: float | None = None
    parts: Mapping[str, float] | None = None
    note: str = ""

    @property
    def missed(self) -> bool:
        return self.ratio > self.goal

    @property
    def doubtful(self) -> bool:
        """Whether the goal lies where the ratio, too, may lie: other rounds might say otherwise."""
        if self.ratio_range is None:
            return False
        least, most = self.ratio_range
        return least <= self.goal <= most

    @property
    def verdict(self) -> str:
        """Whether the goal is met, in a word."""
        return ("missed" if self.missed else "met") + ("?" if self.doubtful else "")

    @property
    def spread(self) -> str:
        """From the fastest to the slowest round of each side, in words."""
        floor = _range(self.floor_range) if self.floor_range else "limit"
        return f"{floor} | {_range(self.ours_range)}" if self.ours_range else ""

    @property
    def row(self) -> dict[str, Any]:
        """Itself as plain data."""
        return asdict(self)

    @property
    def between(self) -> str:
        """:attr:`ratio_range`, in words."""
        return "{:.3f} to {:.3f}".format(*self.ratio_range) if self.ratio_range else ""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Line:
        """What was :attr:`row`, also after JSON."""
        ranges = ("floor_range", "ours_range", "ratio_range")
        return cls(**{**row, **{key: _pair(row.get(key)) for key in ranges}})


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
    """A line from measurements that do not belong together in pairs: the median of each side.

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


def paired(
    name: str,
    floor: Sequence[float],
    ours: Sequence[float],
    *,
    goal: float,
    unit: str,
    prototype: float | None = None,
) -> Line:
    """A line from rounds that took turns: the ratio is the median of the rounds' own ratios.

    The floor's round and ours, one after the other, meet the same neighbours. What makes both
    slower leaves their ratio as it is, however much the rounds differ from one another.
    """
    ratios = [own / bare for bare, own in zip(floor, ours, strict=True)]
    line = compare(name, floor, ours, goal=goal, unit=unit, prototype=prototype)
    between = _of_median(ratios) if len(ratios) > 1 else None
    return replace(line, ratio=statistics.median(ratios), ratio_range=between)


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
    between = any(line.between for line in lines)
    prototype = any(line.prototype is not None for line in lines)
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("what", overflow="fold")
    for heading in ("floor", "ours", "ratio", *(["between"] if between else []), "goal"):
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
            *([line.between] if between else []),
            f"≤ {line.goal:.2f}",
            line.unit,
            *([line.spread] if spread else []),
            *(["" if line.prototype is None else f"{line.prototype:.4g}"] if prototype else []),
            f"[{'red' if line.missed else 'green'}]{line.verdict}[/]",
        )
    console = Console()
    if not console.is_terminal:  # in a file, nobody can make the window wider
        console = Console(width=160)
    said = []
    if any(line.doubtful for line in lines):
        said.append("A question mark: the rounds differ too much to be sure of it.")
    if (noise := max((line.noise for line in lines), default=0.0)) > NOISY:
        said.append(
            f"Noisy: the floor alone varies by {noise:.0%} from round to round: there is other work"
            " on this host, or below it."
        )
    if said:
        table.caption, table.caption_justify = "\n".join(said), "left"
    console.print(table)
    for line in lines:
        if told := why(line):
            console.print(f"{line.name}: {told}", highlight=False)


def why(line: Line) -> str:
    """What lies between the floor and ours, in words; empty: that is not known."""
    parts = ", ".join(f"{name} {value:+.2f}" for name, value in (line.parts or {}).items())
    above = f"{sum(line.parts.values()):+.2f} {line.unit}: {parts}" if line.parts else ""
    return "; ".join(text for text in (above, line.note) if text)


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


def _of_median(values: Sequence[float]) -> Range:
    """Between which the median of all that could be measured lies, if these are some of it.

    Each value is above that median or below it, by equal chances, like a coin: so many of the
    least and of the greatest are left out that fewer on one side come up in 2.5 % of all throws at
    the most. Nothing is supposed of how the values are spread. With five or less, it is all.
    """
    ordered, thrown, left_out, chance = sorted(values), len(values), -1, 0.0
    while (chance := chance + math.comb(thrown, left_out + 1) / 2**thrown) <= 0.025:
        left_out += 1
    left_out = max(left_out, 0)
    return ordered[left_out], ordered[-1 - left_out]


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

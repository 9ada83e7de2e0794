"""The lines as a chart: how far ours is from the floor, and from the goal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.tools.table import Line

_MET, _MISSED, _GOAL, _FLOOR = "#4c9a6a", "#c8553d", "#333333", "#888888"

#: Inches for each line, and for what is around them all.
_LINE, _FRAME = 0.42, 1.3

#: Least and largest ratio that the axis has room for; what is beyond is drawn at the edge.
_EDGES = 0.004, 20.0


def draw(path: Path, title: str, lines: Sequence[Line]) -> None:
    """Write an SVG file.

    A bar is our time (or memory, …) as a multiple of the floor, the thin line at its end the
    spread of our rounds. The floor is at 1; each line has a mark where its goal is.
    """
    figure = Figure(figsize=(10, _FRAME + _LINE * len(lines)), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    left = _left_edge(lines)
    axes.set_xlim(left, _right_edge(lines))
    for place, line in enumerate(lines):
        colour = _MISSED if line.missed else _MET
        axes.barh(place, _inside(line.ratio) - left, left=left, height=0.55, color=colour)
        if line.ours_range and line.floor:
            fast, slow = (_inside(each / line.floor) for each in line.ours_range)
            axes.hlines(place, fast, slow, color=_GOAL)
        axes.vlines(line.goal, place - 0.42, place + 0.42, color=_GOAL, linewidth=2.5)
        axes.text(
            1.01,
            place,
            f"{line.ratio:.3g} (≤ {line.goal:g})   {line.ours:.3g} / {line.floor:.3g} {line.unit}",
            transform=axes.get_yaxis_transform(),
            verticalalignment="center",
        )
    axes.axvline(1, color=_FLOOR, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(lines)), [line.name for line in lines])
    axes.invert_yaxis()
    axes.set_xlabel("ours / floor; dashed: the floor, thick marks: the goals")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    # Text stays text: the file is small, and can be searched. Without a date, equal figures give
    # equal files.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "taskgen"}):
        figure.savefig(path, format="svg", metadata={"Date": None})


def _left_edge(lines: Sequence[Line]) -> float:
    return max(_EDGES[0], min(0.5, *(min(line.ratio, line.goal) / 2 for line in lines)))


def _right_edge(lines: Sequence[Line]) -> float:
    return min(_EDGES[1], max(2.0, *(max(line.ratio, line.goal) * 1.3 for line in lines)))


def _inside(ratio: float) -> float:
    return min(max(ratio, _EDGES[0]), _EDGES[1])

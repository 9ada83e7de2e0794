"""The figures that are kept in git: each question, when and where it was measured, and a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tools.chart import draw
from benchmarks.tools.table import NOISY, Line, read_json, why

PAGE, CHART = "README.md", "all.svg"

_HEAD = f"""\
# Figures of one host

`python -m benchmarks --reference` has written this page, the figures and the chart, from
measurements on the host that each part names. What the floors are, and what bounds the figures, is
in [performance.md](../../docs/performance.md).

![All ratios]({CHART})
"""


def keep_reference(folder: Path, measured: Sequence[Path]) -> None:
    """Take over what scripts have measured, and write page and chart of all that is there.

    :param measured: files of scripts; those of other questions stay as they are.
    """
    folder.mkdir(exist_ok=True)
    for file in measured:
        shutil.copyfile(file, folder / file.name)
    parts = list(_parts(folder))
    lines = [line for _, _, part in parts for line in part]
    draw(folder / CHART, "ours beside the bare thing", lines)
    (folder / PAGE).write_text(page(folder), encoding="utf-8")


def page(folder: Path) -> str:
    """What the figures in a directory say, in Markdown."""
    return "\n".join([_HEAD, *(_section(*part) for part in _parts(folder))])


def _parts(folder: Path) -> Iterator[tuple[str, dict[str, Any], list[Line]]]:
    for file in sorted(folder.glob("*.json")):
        yield file.stem, json.loads(file.read_text("utf-8"))["host"], read_json(file)


def _section(name: str, host: dict[str, Any], lines: Sequence[Line]) -> str:
    rows = [
        "| what | floor | ours | unit | ratio | between | goal |"
        " | spread, floor \\| ours | prototype |",
        "|---|--:|--:|---|--:|---|--:|---|---|--:|",
        *(_row(line) for line in lines),
    ]
    reasons = [f"- {line.name}: {text}" for line in lines if (text := why(line))]
    said = [*reasons, ""] if reasons else []
    return "\n".join([f"## `{name}`", "", _where(host, lines), "", *rows, "", *said])


def _where(host: dict[str, Any], lines: Sequence[Line]) -> str:
    known = {
        "measured_at": "measured {}",
        "cores": "{} cores",
        "cpu": "{}",
        "kernel": "Linux {}",
        "qemu": "QEMU {}",
        "python": "Python {}",
        "load_1min": "load at the end {}",
    }
    said = ", ".join(text.format(host[key]) for key, text in known.items() if key in host)
    noise = max((line.noise for line in lines), default=0.0)
    noisy = f" The floor alone varied by {noise:.0%} from round to round." if noise > NOISY else ""
    return f"{said[:1].upper()}{said[1:]}.{noisy}" if said else noisy.strip()


def _row(line: Line) -> str:
    cells = (
        line.name,
        f"{line.floor:.4g}",
        f"{line.ours:.4g}",
        line.unit,
        f"{line.ratio:.3f}",
        line.between,
        f"≤ {line.goal:.2f}",
        f"**{line.verdict}**" if line.missed else line.verdict,
        line.spread.replace("|", "\\|"),
        "" if line.prototype is None else f"{line.prototype:.4g}",
    )
    return f"| {' | '.join(cells)} |".replace("  ", " ")

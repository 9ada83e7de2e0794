"""What came out of a job, as a table and a few lines."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table

from taskgen.events.summary import SummaryHandler, TaskSummary

#: Said whenever times come from an emulator, so that nobody takes them for hardware's.
EMULATED = (
    "These times were measured under TCG: they are an emulator's, not hardware's. Compare them with"
    " one another, not with a real machine."
)

#: Said whenever machines had to share what they are measured by.
OVERCOMMITTED = (
    "{overcommitted} of {runs} runs were measured while the machines asked for more cores or memory"
    " than the host has: cpus_overcommitted and memory_overcommitted in their rows tell which."
)


def results(summary: SummaryHandler) -> Table:
    """One row for each task."""
    table = Table(title="Results over all variants; response times in ms", title_justify="left")
    table.add_column("task")
    for heading in ("activations", "missed"):
        table.add_column(heading, justify="right")
    table.add_column("exits")
    for heading in ("min", "median", "max"):
        table.add_column(heading, justify="right")
    for task in summary.tasks:
        table.add_row(
            f"{task.task_id} {task.pkg}",
            str(task.activations),
            _missed(task),
            _exits(task.exits),
            *_responses(task),
        )
    return table


def print_results(console: Console, summary: SummaryHandler) -> None:
    """The table, with what has to be said beside it."""
    if not summary.tasks:
        return
    console.print(results(summary))
    if "tcg" in summary.accelerators:
        console.print(EMULATED, style="yellow", soft_wrap=True)
    if summary.overcommitted:
        said = OVERCOMMITTED.format(overcommitted=summary.overcommitted, runs=summary.runs)
        console.print(said, style="yellow", soft_wrap=True)


def _missed(task: TaskSummary) -> str:
    return f"{task.missed} of {task.judged}" if task.judged else "-"


def _exits(exits: Counter[str]) -> str:
    return "\n".join(f"{count} {kind or 'cut off'}" for kind, count in exits.most_common())


def _responses(task: TaskSummary) -> list[str]:
    times = task.response_us
    return ["-"] * 3 if times is None else [f"{value / 1000:.3f}" for value in times]

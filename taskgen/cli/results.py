"""``taskgen results``"""

from __future__ import annotations

import click

from taskgen.cli.lazy import Lazy, LazyGroup

_COMMANDS = {
    "Commands": {
        "export": Lazy(
            "taskgen.cli.results_export:export", "Export what the daemon's jobs have measured."
        ),
        "prune": Lazy(
            "taskgen.cli.results_prune:prune_command",
            "Delete the oldest runs of a database of results.",
        ),
    }
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def results() -> None:
    """Export results, and prune databases."""

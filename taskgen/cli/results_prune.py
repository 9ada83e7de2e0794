"""``taskgen results prune``"""

from __future__ import annotations

from pathlib import Path

import click

from taskgen.errors import ConfigError
from taskgen.results.prune import Retention, prune
from taskgen.settings import load_settings


@click.command("prune")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--days", type=click.FloatRange(0, min_open=True), help="Keep so many days.")
@click.option("--runs", type=click.IntRange(1), help="Keep so many runs.")
@click.option(
    "--megabytes", type=click.FloatRange(0, min_open=True), help="Keep at most this size."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings.")
def prune_command(  # noqa: PLR0917 - click passes each option by its name
    file: Path,
    days: float | None,
    runs: int | None,
    megabytes: float | None,
    dry_run: bool,
    config: Path | None,
) -> None:
    """Delete the oldest runs of a database of results.

    FILE is one that SqliteHandler wrote. The room is given back. What is kept without an option is
    said by the settings, section [results].
    """
    kept = load_settings(config).results
    retention = Retention(
        days=days or kept.days or None,
        runs=runs or kept.runs or None,
        megabytes=megabytes or kept.megabytes or None,
    )
    if retention.unbounded:
        raise ConfigError(
            "nothing says what to keep", hint="--days, --runs or --megabytes, or settings [results]"
        )
    pruned = prune(file, retention, dry_run=dry_run)
    click.echo(
        f"{'would delete' if dry_run else 'deleted'} {pruned.runs} runs with {pruned.activations}"
        f" activations; {pruned.kept} runs kept;"
        f" {pruned.bytes_before / 1e6:.1f} MB -> {pruned.bytes_after / 1e6:.1f} MB"
    )

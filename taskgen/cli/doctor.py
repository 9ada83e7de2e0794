"""``taskgen doctor``"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from taskgen.cli.console import output
from taskgen.host.doctor import Check, Grade, examine
from taskgen.profiles import load_profile, profile_names
from taskgen.settings import load_settings

_COLOURS = {Grade.OK: "green", Grade.WARN: "yellow", Grade.FAIL: "red"}


@click.command()
@click.option("--profile", "names", multiple=True, metavar="NAME", help="Check for this profile.")
@click.option("--recheck", is_flag=True, help="Boot a guest anew to see whether KVM works.")
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings, as for run."
)
def doctor(names: tuple[str, ...], recheck: bool, config: Path | None) -> None:
    """Check whether a fleet can run on this host, and say what to do where it cannot.

    Exit status 0: it can; 1: it cannot.
    """
    settings = load_settings(config)
    # What nobody has built or asked for is no fault: other profiles only if they are named.
    profiles = [load_profile(name) for name in names or (settings.fleet.profile,)]
    unknown = sorted(set(profile_names()) - {profile.name for profile in profiles})

    async def collect() -> list[Check]:
        return [
            check async for check in examine(profiles, user=settings.qemu.user, recheck=recheck)
        ]

    checks = asyncio.run(collect())
    table = Table(show_edge=False)
    for heading in ("check", "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        grade = Text(check.grade, style=_COLOURS[check.grade])
        table.add_row(check.name, grade, Text(check.found), Text(check.advice))
    console = output()
    console.print(table)
    if unknown:
        console.print(f"Not checked: {', '.join(unknown)} (--profile NAME).", highlight=False)
    sys.exit(any(check.grade is Grade.FAIL for check in checks))

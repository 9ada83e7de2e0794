"""``taskgen doctor``"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from taskgen.cli.console import output
from taskgen.cli.options import json_option
from taskgen.host.doctor import Check, Grade, examine
from taskgen.host.doctor.fix import fix
from taskgen.host.records import state_root
from taskgen.local_plan import FleetPlan
from taskgen.profiles import load_profile, profile_names
from taskgen.settings import load_settings
from taskgen.wishes import Wishes, load_wishes

_COLOURS = {Grade.OK: "green", Grade.WARN: "yellow", Grade.FAIL: "red"}


@click.command()
@click.option("--profile", "names", multiple=True, metavar="NAME", help="Check for this profile.")
@click.option("--recheck", is_flag=True, help="Boot a guest anew to see whether KVM works.")
@click.option("--fix", "mend", is_flag=True, help="Mend what is ours, and say what was done.")
@json_option
@click.option(
    "--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings, as for run."
)
def doctor(
    names: tuple[str, ...], recheck: bool, mend: bool, as_json: bool, config: Path | None
) -> None:
    """Check whether a fleet can run on this host, and say what to do where it cannot.

    With --fix first mends what is Taskgen's own: what crashes left, its directories, the user of
    QEMU, the group of the daemon, and the verdict about KVM. Nothing of others is changed.

    Exit status 0: it can; 1: it cannot.
    """
    settings = load_settings(config)
    # What nobody has built or asked for is no fault: other profiles only if they are named.
    profiles = [load_profile(name) for name in names or (settings.fleet.profile,)]
    unknown = sorted(set(profile_names()) - {profile.name for profile in profiles})
    network = FleetPlan(profile=profiles[0], settings=settings).network()
    wishes = load_wishes(state_root() / "wishes.json") if os.geteuid() == 0 else Wishes()

    async def collect() -> tuple[list[str], list[Check]]:
        done = [line async for line in fix(settings.qemu.user)] if mend else []
        checks = examine(
            profiles,
            network=network,
            settings=settings,
            machines=wishes.max_machines or settings.fleet.max_machines,
            recheck=recheck or mend,
        )
        return done, [check async for check in checks]

    done, checks = asyncio.run(collect())
    if as_json:
        found = {"done": done, "checks": [asdict(check) for check in checks]}
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(done, checks, unknown)
    sys.exit(any(check.grade is Grade.FAIL for check in checks))


def _print(done: Sequence[str], checks: Sequence[Check], unknown: Sequence[str]) -> None:
    for line in done:
        click.echo(line)
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

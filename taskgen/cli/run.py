"""``taskgen run``"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import click

from taskgen.binaries import user_directories
from taskgen.checks import check_duration
from taskgen.cli.console import note, output
from taskgen.cli.embedded import EmbeddedJob
from taskgen.cli.report import print_results
from taskgen.events.csv import CsvHandler
from taskgen.events.handler import EventHandler
from taskgen.events.stdout import StdoutHandler
from taskgen.events.summary import SummaryHandler
from taskgen.interfaces import SessionSettings
from taskgen.local import FleetPlan
from taskgen.overrides import apply_settings
from taskgen.profiles import load_profile
from taskgen.queue import JobSpec
from taskgen.settings import Settings, load_settings
from taskgen.taskset import TaskSet
from taskgen.taskset_names import load_taskset


@click.command()
@click.argument("taskset")
@click.option(
    "-n",
    "--machines",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    metavar="N",
    help="Machines at most.",
)
@click.option(
    "--events",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Append every activation to this CSV file.",
)
@click.option("--profile", metavar="NAME", help="What kind of machine.")
@click.option(
    "--image",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Your own image instead of the profile's.",
)
@click.option(
    "--memory",
    type=click.IntRange(1),
    metavar="MB",
    help="Memory, if the image wants another size.",
)
@click.option(
    "--cpus", type=click.IntRange(1), metavar="N", help="CPUs, if the image wants another count."
)
@click.option("--icount", is_flag=True, help="Virtual time: the guest's clock counts instructions.")
@click.option("--binaries", metavar="DIR", help="Your own task binaries.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="TASK.KEY=VALUE",
    help="Change a key: 1.period=50, hey.priority=10,20 or *.period=10..50..10.",
)
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="Stop each run after so many seconds.",
)
@click.option(
    "--tries", type=click.IntRange(1), metavar="N", help="Attempts for a variant that fails."
)
@click.option(
    "--namespace",
    metavar="NAME",
    help="Network namespace of the fleet; '' is the one that you are in. Default: one of its own.",
)
@click.option("--print", "printing", is_flag=True, help="Print each event.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings.")
def run(  # noqa: PLR0917 - click passes each option by its name
    taskset: str,
    machines: int,
    events: Path | None,
    profile: str | None,
    image: Path | None,
    memory: int | None,
    cpus: int | None,
    icount: bool,
    binaries: str | None,
    changes: tuple[str, ...],
    duration_s: float | None,
    tries: int | None,
    namespace: str | None,
    printing: bool,
    config: Path | None,
) -> None:
    """Run all variants of a task-set on machines of this host.

    TASKSET is MODULE.CLASS of taskgen.tasksets, as in example.Demo, or the dotted path of your own,
    looked for in this directory too.

    Ctrl-C finishes the runs that have begun; a second one stops them.

    Exit status 0: every variant has a result; 1: one has none; 2: bad input, nothing was done;
    130: interrupted.
    """
    chosen = {} if namespace is None else {"network": {"namespace": namespace}}
    settings = load_settings(config, options=chosen)
    kind = load_profile(profile or settings.fleet.profile)
    kind = kind.with_image(image) if image else kind
    kind = replace(kind, memory_mb=memory or kind.memory_mb, cpus=cpus or kind.cpus)
    kind.image_files()
    plan = FleetPlan(
        profile=kind,
        settings=settings,
        binaries=tuple(user_directories(binaries)),
        icount=icount,
    )
    tasks = apply_settings(load_taskset(taskset, directory=Path.cwd()), changes)
    job = _job(tasks, plan, settings, duration_s, tries)
    summary, csv = SummaryHandler(), CsvHandler(events) if events else None
    handlers: list[EventHandler | None] = [summary, csv, StdoutHandler() if printing else None]
    embedded = EmbeddedJob(plan, job, [each for each in handlers if each], machines)
    end = asyncio.run(embedded.execute())
    print_results(output(), summary)
    if csv:
        note(f"{csv.path}: {csv.rows} rows added")
    sys.exit(end.told())


def _job(
    tasks: TaskSet, plan: FleetPlan, settings: Settings, duration_s: float | None, tries: int | None
) -> JobSpec:
    """The job, after all has been checked that can be before anything is started."""
    check_duration(tasks, duration_s)
    task_binaries = plan.task_binaries()
    for name in sorted(tasks.binaries()):
        task_binaries.get(name)
    session = SessionSettings(
        duration_s=duration_s, margin=settings.run.margin, slack_s=settings.run.slack_s
    )
    return JobSpec(
        tasks, settings=session, profile=plan.profile.name, tries=tries or settings.run.tries
    )

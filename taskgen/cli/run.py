"""``taskgen run``"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import click
from click.core import ParameterSource

from taskgen.binaries import user_directories
from taskgen.checks import check_duration
from taskgen.cli.console import output
from taskgen.cli.daemon_job import DaemonJob
from taskgen.cli.embedded import EmbeddedJob
from taskgen.cli.end import End
from taskgen.cli.job_input import check_document
from taskgen.cli.note import note
from taskgen.cli.output_file import OutputPath
from taskgen.cli.report import print_results
from taskgen.cli.run_show import show
from taskgen.cli.running_daemon import running_daemon
from taskgen.client.address import Address
from taskgen.errors import TaskSetError
from taskgen.events.csv import CsvHandler
from taskgen.events.handler import EventHandler
from taskgen.events.stdout import StdoutHandler
from taskgen.events.summary import SummaryHandler
from taskgen.job_request import JobRequest
from taskgen.local_plan import FleetPlan
from taskgen.overrides import apply_settings
from taskgen.profiles import Profile, load_profile
from taskgen.settings import load_settings
from taskgen.taskset import TaskSet
from taskgen.taskset_names import load_taskset

#: Options that only machines of the command's own can have.
_EMBEDDED_ONLY = ("image", "memory", "cpus", "icount", "namespace")


class _RunCommand(click.Command):
    """A command, and others whose names stand where its first argument does."""

    commands: ClassVar = {"show": show}

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if args and (command := self.commands.get(args[0])):
            return command.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(cls=_RunCommand)
@click.argument("taskset")
@click.option(
    "-n",
    "--machines",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    metavar="N",
    help="Machines of its own at most.",
)
@click.option(
    "--events",
    type=OutputPath(default_is_stdout=False),
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
@click.option("--embedded", is_flag=True, help="Machines of its own, even if a daemon is running.")
@click.option("--config", type=click.Path(path_type=Path), metavar="FILE", help="Settings.")
@click.pass_context
def run(  # noqa: PLR0917 - click passes each option by its name
    context: click.Context,
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
    embedded: bool,
    config: Path | None,
) -> None:
    """Run all variants of a task-set.

    TASKSET is MODULE.CLASS of taskgen.tasksets, as in example.Demo, or the dotted path of your own,
    looked for in this directory too, or a document.

    Where a daemon is running it does the work, else machines are launched that live as long as this
    command. taskgen run show ID tells the story of a run of the daemon's.

    Ctrl-C finishes the runs that have begun; a second one stops them.

    Exit status 0: every variant has a result; 1: one has none; 2: bad input, nothing was done; 3:
    the daemon went away; 130: interrupted.
    """
    chosen = {} if namespace is None else {"network": {"namespace": namespace}}
    settings = load_settings(config, options=chosen)
    directories = tuple(user_directories(binaries))
    tasks = apply_settings(load_taskset(taskset, directory=Path.cwd()), changes)
    request = JobRequest(taskset=tasks, profile=profile, duration_s=duration_s, tries=tries)
    summary, csv = SummaryHandler(), CsvHandler(events) if events else None
    choice: list[EventHandler | None] = [summary, csv, StdoutHandler() if printing else None]
    handlers = [each for each in choice if each]
    check_duration(tasks, duration_s)
    daemon = None if embedded else running_daemon()
    if daemon and (reason := _reason_to_embed(context, tasks)):
        note(f"{reason}: launching machines of its own instead of using the daemon")
        daemon = None
    if daemon:
        if _given(context, "machines"):
            note("--machines is for machines of its own; the daemon has taskgen fleet set-max")
        end = _in_daemon(daemon, request, handlers, directories)
    else:
        kind = _machine_kind(load_profile(profile or settings.fleet.profile), image, memory, cpus)
        plan = FleetPlan(profile=kind, settings=settings, binaries=directories, icount=icount)
        end = _embedded(plan, tasks, request, handlers, machines)
    print_results(output(), summary)
    if csv:
        note(f"{csv.path}: {csv.rows} rows added")
    sys.exit(end.told())


def _given(context: click.Context, name: str) -> bool:
    """Whether the user has given an option."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _reason_to_embed(context: click.Context, tasks: TaskSet) -> str | None:
    """Why a daemon that is running cannot be used; ``None`` if it can."""
    options = [f"--{name}" for name in _EMBEDDED_ONLY if _given(context, name)]
    if options:
        return f"{', '.join(options)} cannot be had of the daemon"
    try:
        check_document(tasks)
    except TaskSetError as error:
        return error.message
    return None


def _in_daemon(
    daemon: Address,
    request: JobRequest,
    handlers: Sequence[EventHandler],
    directories: Sequence[Path],
) -> End:
    async def execute() -> End:
        job = DaemonJob(
            daemon,
            lambda backend, handlers: backend.add_job(request, handlers),
            handlers,
            directories=directories,
        )
        return await job.execute()

    return asyncio.run(execute())


def _machine_kind(
    profile: Profile, image: Path | None, memory_mb: int | None, cpus: int | None
) -> Profile:
    kind = profile.with_image(image) if image else profile
    kind = replace(kind, memory_mb=memory_mb or kind.memory_mb, cpus=cpus or kind.cpus)
    kind.image_files()
    return kind


def _embedded(
    plan: FleetPlan,
    tasks: TaskSet,
    request: JobRequest,
    handlers: Sequence[EventHandler],
    machines: int,
) -> End:
    """Run it, after all has been checked that can be before anything is started."""
    plan.task_binaries().check(sorted(tasks.binaries()))
    spec = replace(request, profile=plan.profile.name).spec(plan.settings.run)
    return asyncio.run(EmbeddedJob(plan, spec, handlers, machines).execute())

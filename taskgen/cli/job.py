"""``taskgen job``"""

from __future__ import annotations

import click

from taskgen.cli.lazy import Lazy, LazyGroup

_COMMANDS = {
    "Commands": {
        "add": Lazy("taskgen.cli.job_add:add", "Add a job: all variants of a task-set."),
        "ls": Lazy("taskgen.cli.job_ls:ls", "List the jobs."),
        "show": Lazy("taskgen.cli.job_ls:show", "Show a job in full."),
        "watch": Lazy("taskgen.cli.job_watch:watch", "Watch a job until it ends."),
        "cancel": Lazy("taskgen.cli.job_change:cancel", "Stop jobs, and give up the rest of them."),
        "pause": Lazy("taskgen.cli.job_change:pause", "Begin no more runs of jobs until resume."),
        "resume": Lazy("taskgen.cli.job_change:resume", "Go on with jobs that were paused."),
        "retry-bad": Lazy("taskgen.cli.job_change:retry_bad", "Run again what jobs have given up."),
        "rm": Lazy("taskgen.cli.job_change:rm", "Forget jobs that have ended, and their results."),
    }
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def job() -> None:
    """Add, watch and change jobs.

    Exit status 0: done; 1: the daemon cannot; 2: bad input; 3: no daemon answers.
    """

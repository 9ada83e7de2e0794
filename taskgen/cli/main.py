"""The command ``taskgen``."""

from __future__ import annotations

import logging
import sys

import click

import taskgen
from taskgen.cli.console import note
from taskgen.cli.daemon import daemon
from taskgen.cli.doctor import doctor
from taskgen.cli.down import down
from taskgen.cli.results import results
from taskgen.cli.run import run
from taskgen.cli.taskset import taskset
from taskgen.errors import SetupError, TaskgenError

#: Exit statuses; docs/cli.md lists them.
FAILED, BAD_INPUT = 1, 2


class _Cli(click.Group):
    """Makes one line of each of our errors, and an exit status."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SetupError as error:
            note(str(error))
            sys.exit(BAD_INPUT)
        except TaskgenError as error:
            note(str(error))
            sys.exit(FAILED)


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(taskgen.__version__, prog_name="taskgen")
@click.option(
    "-v",
    "--verbose",
    count=True,
    help="Say more: -v what is done, -vv how, -vvv by the libraries too.",
)
def cli(verbose: int) -> None:
    """Run real-time task-sets on a fleet of QEMU machines, and report precisely what happened."""
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="taskgen: %(message)s", stream=sys.stderr)
    logging.getLogger("taskgen").setLevel(level)
    for library in ("asyncio", "qemu", "pyroute2"):
        logging.getLogger(library).setLevel(logging.ERROR if verbose < 3 else logging.DEBUG)


for command in (run, taskset, results, daemon, doctor, down):
    cli.add_command(command)


def main() -> None:
    """Entry point of the installed command."""
    cli(prog_name="taskgen")


def taskgend() -> None:
    """Entry point of the installed command ``taskgend``, for service managers."""
    cli(["daemon", *sys.argv[1:]], prog_name="taskgen")


if __name__ == "__main__":
    main()

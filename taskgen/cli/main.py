"""The command ``taskgen``."""

from __future__ import annotations

import logging
import os
import sys

import click

import taskgen
from taskgen.cli.commands import COMMANDS
from taskgen.cli.lazy import LazyGroup
from taskgen.cli.note import note
from taskgen.errors import DaemonUnreachableError, SetupError, TaskgenError

#: Exit statuses; docs/cli.md lists them.
FAILED, BAD_INPUT, NO_DAEMON, INTERRUPTED = 1, 2, 3, 130


class _Cli(LazyGroup):
    """Makes one line of each of our errors, and an exit status."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()
        except SetupError as error:
            note(str(error))
            sys.exit(BAD_INPUT)
        except DaemonUnreachableError as error:
            note(str(error))
            sys.exit(NO_DAEMON)
        except TaskgenError as error:
            note(str(error))
            sys.exit(FAILED)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # Whoever reads the output has seen enough, as ``head`` has. Python flushes once more at
            # its end: that must not fail again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)


@click.group(cls=_Cli, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
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


def main() -> None:
    """Entry point of the installed command."""
    cli(prog_name="taskgen")


def taskgend() -> None:
    """Entry point of the installed command ``taskgend``, for service managers."""
    cli(["daemon", *sys.argv[1:]], prog_name="taskgen")


if __name__ == "__main__":
    main()

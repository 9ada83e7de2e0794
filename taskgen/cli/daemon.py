"""``taskgen daemon``"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import click

from taskgen import heap
from taskgen.daemon.api import api
from taskgen.daemon.life import Start, live
from taskgen.daemon.logs import configure_logging
from taskgen.daemon.state import state_directory
from taskgen.errors import PrivilegeError, SetupError, TaskgenError
from taskgen.host.records import state_root
from taskgen.settings import load_settings

log = logging.getLogger(__name__)

#: Exit statuses; docs/operations.md lists them.
FAILED, BAD_SETUP, AT_ONCE = 1, 2, 130


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file of settings; default: /etc/taskgen/taskgen.toml if it is there.",
)
@click.pass_context
def daemon(ctx: click.Context, config: Path | None) -> None:
    """Keep fleet and queue at work, in the foreground, until SIGTERM.

    SIGTERM and SIGINT (Ctrl-C) let runs finish, a second SIGINT stops at once, SIGUSR1 lets runs
    finish and keeps the machines for the next daemon, SIGHUP reads the settings again.

    Exit status 0: ended as it was asked to; 1: it could not go on; 2: it could not start, nothing
    was changed; 130: ended at once, what ran is run again.
    """
    verbose = ctx.find_root().params.get("verbose", 0)
    sys.exit(_run(config, verbose))


def _run(config: Path | None, verbose: int) -> int:
    if os.geteuid() != 0:
        raise PrivilegeError("the daemon needs root", hint="sudo taskgen daemon")
    settings = load_settings(config)
    configure_logging(settings.log, verbose=verbose)
    heap.share()
    try:
        with state_directory(state_root()) as state:
            start = Start(
                settings=settings,
                state=state,
                api=api,
                reread=lambda: load_settings(config),
                verbose=verbose,
            )
            asyncio.run(live(start))
    except SetupError as error:
        log.error("%s", error)
        return BAD_SETUP
    except TaskgenError as error:
        log.error("%s", error)
        return FAILED
    except asyncio.CancelledError:
        log.warning("ended at once; what was running will be run again")
        return AT_ONCE
    except Exception:
        log.exception("a bug of ours ends the daemon")
        return FAILED
    return 0

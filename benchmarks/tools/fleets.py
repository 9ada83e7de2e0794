"""Fleets of ours as the scripts need them: everything real, in a world of the script's own."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.tools.stopping import stopping_in_order
from benchmarks.tools.table import Line, parser, report
from benchmarks.tools.world import enter_world
from taskgen.errors import TaskgenError
from taskgen.host.cleanup import down
from taskgen.host.cores import whole_cores
from taskgen.local_plan import FleetPlan
from taskgen.profiles import load_profile
from taskgen.run_settings import Reset, RunSettings, SnapshotSettings
from taskgen.settings import FleetSettings, QemuSettings, Settings

#: Only a machine's tasks are cleared between two runs.
CLEAR = "clear"

#: A machine starts from a state that was saved, and goes back to it between two runs.
SAVED = "snapshot"

#: As many as a fleet's network has slots.
STORM = 42


def options_of(description: str | None) -> argparse.ArgumentParser:
    """What every script understands that has real machines."""
    made = parser(description)
    made.add_argument("--profile", default="linux-x86_64", help="one that boots a kernel")
    made.add_argument("--accelerator", choices=("tcg", "kvm"), default="tcg")
    made.add_argument("--rounds", type=int, help="of the floor, and of ours")
    return made


def plan_of(
    options: argparse.Namespace, reset: str = CLEAR, *, cold: bool | None = None
) -> FleetPlan:
    """A fleet as ``taskgen run`` makes it.

    :param cold: each machine boots, though its guest takes part in a template; by default, unless
        ``reset`` says where they start from.
    """
    if cold is None:
        cold = reset == CLEAR
    return FleetPlan(
        profile=load_profile(options.profile),
        settings=Settings(
            fleet=FleetSettings(boot_concurrency=whole_cores()),
            qemu=QemuSettings(accelerator=options.accelerator),
            run=RunSettings(reset=Reset(reset)),
            snapshots=SnapshotSettings(templates=not cold),
        ),
    )


def main_of(
    title: str,
    options: argparse.Namespace,
    measure: Callable[[argparse.Namespace], Coroutine[Any, Any, Sequence[Line]]],
) -> None:
    """Measure in a world of our own, print the table, and write it where ``--json`` says."""
    with in_own_world(title):
        lines = asyncio.run(measure(options))
    report(title, lines, options)


@contextmanager
def in_own_world(what: str) -> Iterator[Path]:
    """A network, a ``/run`` and a state directory of our own, until this process ends.

    Errors of Taskgen's, and being told to stop, end the process with an exit status.

    :param what: is measured, for messages.
    :returns: a folder that the user that QEMU runs as can pass; it is removed at the end.
    """
    if os.geteuid() != 0:
        sys.exit(f"{what}: taps and namespaces need root")
    logging.getLogger("taskgen").setLevel(logging.ERROR)  # what is overcommitted is known
    enter_world()
    with (
        stopping_in_order(),
        tempfile.TemporaryDirectory(prefix="taskgen-bench-") as made,
    ):
        folder = Path(made)
        folder.chmod(0o711)
        os.environ["TASKGEN_STATE"] = str(folder / "state")
        try:
            yield folder
        except TaskgenError as error:
            sys.exit(f"{what}: {error}")
        finally:
            down()  # what was to be left running for the next engine, when there came none

"""Has a keeper of consoles beside the fleet, so that their logs stay short when we are killed."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import taskgen
from taskgen.errors import HostError
from taskgen.host.command_lines import KEEPER, end_all, is_keeper
from taskgen.host.console_boots import Limits
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.process import Process, start
from taskgen.host.waiting import finish, in_thread
from taskgen.problems import Problems

log = logging.getLogger(__name__)

#: Of what this reports to :class:`~taskgen.problems.Problems`.
PROBLEM = "console-keeper"

#: Seconds after which a keeper counts as one that works.
STABLE_S = 10.0

#: Seconds until the next try where one ends at once again and again, at most.
LONGEST_REST_S = 60.0

# Without site-packages: it shall be small. Our own package is found behind Python's modules.
_RUN = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from taskgen.host.console_keeper import main; main(sys.argv[4], int(sys.argv[5]))"
)


class Keeper:
    """The keeper of a fleet's consoles, one process after the other. Made by :func:`keeping`."""

    def __init__(self, directory: FleetDirectory, problems: Problems) -> None:
        self._id = directory.record.id
        self._consoles = directory.consoles
        self._problems = problems
        self._pipe = -1  # our end of the pipe by which it knows that we live
        self.process: Process | None = None

    def tell(self, limits: Limits) -> None:
        """Let other limits hold once we are gone."""
        if self._pipe >= 0:
            with suppress(BrokenPipeError, BlockingIOError):  # dead, or stopped: the next is told
                os.write(self._pipe, f"{limits.boot_bytes}\n".encode())

    async def keep(self) -> None:
        """Have one, until cancelled; it is there still then."""
        failures = 0
        while True:
            died = None
            try:
                self.process = await self._start()
                with suppress(TimeoutError):
                    async with asyncio.timeout(STABLE_S):
                        died = await self.process.wait()
                if died is None:
                    failures = 0
                    self._problems.clear(PROBLEM)
                    died = await self.process.wait()
                trouble = HostError(f"the keeper of the consoles has ended: {died}")
            except HostError as error:
                trouble = error
            log.warning("%s; there will be another", trouble)
            failures += 1
            if failures > 1:  # somebody may have killed the first
                hint = trouble.hint or "consoles' logs are not bounded while no daemon lives"
                self._problems.report(PROBLEM, trouble.message, hint=hint)
                await asyncio.sleep(min(2.0 ** (failures - 2), LONGEST_REST_S))

    async def close(self, *, stays: bool) -> None:
        """Let go of it.

        :param stays: machines run on, and it keeps their logs short from now on; else it is ended.
        :raises HostError: if it does not end.
        """
        try:
            if self.process and stays:
                self.process.release()
            elif self.process:
                await self.process.stop()
        finally:
            self._hang_up()

    async def _start(self) -> Process:
        self._hang_up()
        theirs, self._pipe = os.pipe2(os.O_CLOEXEC)
        try:
            os.set_blocking(self._pipe, False)
            self.tell(self._consoles.limits)
            root = Path(taskgen.__file__).parents[1]
            words = [str(root), KEEPER, self._id, str(self._consoles.path), str(theirs)]
            python = sys.executable or "python3"
            return await start(KEEPER, [python, "-I", "-S", "-c", _RUN, *words], fds=[theirs])
        finally:
            os.close(theirs)

    def _hang_up(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1


@asynccontextmanager
async def keeping(
    directory: FleetDirectory, problems: Problems, *, keep: Callable[[], bool]
) -> AsyncIterator[Keeper]:
    """A keeper of the fleet's consoles, while in the block; one that is killed comes back.

    The one that a dead engine left is ended first: nobody has looked at a log before.

    :param problems: told if there can be none.
    :param keep: asked when the block is left: whether machines run on.
    :raises HostError: if one that was left does not end.
    """
    identity = directory.record.id
    if directory.adopted:
        await in_thread(None, end_all, lambda argv: is_keeper(argv, identity))
    keeper = Keeper(directory, problems)
    task = asyncio.create_task(keeper.keep(), name="keeper of consoles")
    try:
        yield keeper
    finally:
        task.cancel()
        await finish(asyncio.wait([task]))
        await finish(keeper.close(stays=keep()))

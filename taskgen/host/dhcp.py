"""The fleet's DHCP server, whichever program it is: started, adopted, kept alive."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from taskgen.errors import HostError
from taskgen.host.dhcp_log import log_size, said_last
from taskgen.host.dhcp_program import DhcpProgram
from taskgen.host.foreign_files import open_to_read
from taskgen.host.inotify import Change, Inotify
from taskgen.host.leases import Lease, Leases
from taskgen.host.netns import Namespace
from taskgen.host.open_files import has_open, salvage
from taskgen.host.process import Exit, Process, adopt, start
from taskgen.host.waiting import finish
from taskgen.problems import Problems

log = logging.getLogger(__name__)

#: Of what this reports to :class:`~taskgen.problems.Problems`.
PROBLEM = "dhcp"

_START_LIMIT_S = 10.0
_STOPPED = "it is stopped by a signal (SIGSTOP), or by a debugger"
_BACK_OFF_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
_LOG_BYTES = 1 << 20
_STABLE_S = 60.0  # having run for so long, it may die again as if for the first time


class DhcpServer:
    """A DHCP server that is started again when it dies. Made by :func:`dhcp_server`.

    :param leases: its lease file.
    :param bridge_index: gives the index of the bridge that there is now.
    """

    def __init__(
        self,
        program: DhcpProgram,
        namespace: Namespace,
        inotify: Inotify,
        leases: Leases,
        *,
        problems: Problems,
        bridge_index: Callable[[], int],
    ) -> None:
        self.program = program
        self.process: Process | None = None  #: ``None`` while it is down
        self._starting: Process | None = None
        self._said = 0  # so much of the log says nothing of its death
        self._namespace = namespace
        self._inotify = inotify
        self._leases = leases
        self._problems = problems
        self._bridge_index = bridge_index
        self._again = asyncio.Event()
        self._on_answer: list[Callable[[], object]] = []
        leases.on_change(self._trim_log)

    @property
    def ailment(self) -> str:
        """Why it gives no addresses just now; empty: it does."""
        if self.process is None:
            return "it has ended, and is not there again yet"
        return _STOPPED if self.process.is_stopped else ""

    @property
    def is_current(self) -> bool:
        """Whether it was started for the network and the bridge that there are now."""
        with suppress(OSError):
            return self.program.config_file.read_text(encoding="ascii") == self._config()
        return False

    @property
    def has_its_file(self) -> bool:
        """Whether it writes to the lease file that is there now."""
        process = self._starting or self.process
        return bool(process and has_open(process, self.program.lease_file))

    def _config(self) -> str:
        return self.program.config(self._bridge_index())

    async def start(self) -> Process:
        """Start it; it answers when this returns.

        :raises HostError: if it does not become ready, with what it said.
        """
        program = self.program
        written = asyncio.Event()
        try:
            command = program.command()
            program.clear()
            program.config_file.write_text(self._config(), encoding="ascii")
            self._leases.put_back()
            self._said = log_size(program)
        except OSError as error:
            raise HostError(f"{program.name} cannot be started: {error}") from error
        # It writes the file once its socket is bound: from then on no request is lost.
        with self._inotify.watch(program.pid_file.parent, Change.CLOSE_WRITE, written.set):
            process = await start(
                program.name, command, namespace=self._namespace, output=program.log_file
            )
            self._starting = process
            try:
                await self._ready(process, written)
            except BaseException:
                await finish(process.stop())
                raise
            finally:
                self._starting = None
        self._serves(process)
        return process

    def _serves(self, process: Process) -> None:
        self.process = process
        self._said = log_size(self.program)  # what it said before is no reason for its death

    async def _ready(self, process: Process, written: asyncio.Event) -> None:
        program, name = self.program, self.program.name
        death = asyncio.ensure_future(process.wait())
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                while not _says(self.program.pid_file, process.pid):
                    written.clear()
                    change = asyncio.ensure_future(written.wait())
                    try:
                        await asyncio.wait([death, change], return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        change.cancel()
                    if death.done():
                        end = said_last(program, death.result(), since=self._said)
                        raise HostError(f"{name} did not start: {end}")
        except TimeoutError as error:
            raise HostError(f"{name} was not ready within {_START_LIMIT_S:g} s") from error
        finally:
            death.cancel()

    async def adopt(self) -> Process | None:
        """Take over the one that a dead engine left; ``None``: there is none that still serves.

        One that serves nobody any more is ended: its bridge, its namespace or its lease file is
        not the fleet's.
        """
        network = await self._namespace.run(os.stat, "/proc/thread-self/ns/net")
        program = self.program
        while process := await adopt(program.name, program.is_it, output=program.log_file):
            with suppress(OSError):
                inside = os.path.samestat(os.stat(f"/proc/{process.pid}/ns/net"), network)
                ready = _says(program.pid_file, process.pid)
                if inside and ready and self.is_current and has_open(process, self._leases.path):
                    self._serves(process)
                    return process
            if text := salvage(process, self._leases.path):
                self._leases.learn(program.leases.read(text).leases)
            log.info("%s (pid %d) was left, but serves nobody: it is ended", *_whom(process))
            await finish(process.stop())
        return None

    async def succeed(self, other: DhcpProgram) -> None:
        """Take the place of another program that an engine before us had: end it, know its leases.

        :raises HostError: if it does not end.
        """
        while process := await adopt(other.name, other.is_it):
            log.info("%s (pid %d) was left, but is not wanted now: it is ended", *_whom(process))
            await finish(process.stop())
        with suppress(OSError), open_to_read(other.lease_file) as file:
            text = file.read().decode("ascii", errors="replace")
            self._leases.learn(other.leases.read(text).leases)

    def restart(self, why: str) -> None:
        """Have it started again at once, by :meth:`keep_alive`."""
        self._problems.report(PROBLEM, f"{self.program.name} is started again: {why}")
        self._again.set()

    def revive(self) -> None:
        """Have it started again if it is there and gives no addresses all the same."""
        if self.process is not None and self.ailment:
            self.restart(self.ailment)

    def on_answer(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` each time that it answers again."""
        self._on_answer.append(callback)

    async def keep_alive(self) -> None:
        """Wait for its death, start it again, for ever."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            born = loop.time()
            if self.process:
                ended = await self._end_of(self.process)
                self.process = None
                failures = 0 if loop.time() - born > _STABLE_S else failures
                if ended:
                    self._report(ended)
            await self._back_off(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])
            failures += 1
            try:
                await self.start()
            except HostError as error:
                self._report(error)
            else:
                self._problems.clear(PROBLEM)
                for call in self._on_answer:
                    call()

    async def _end_of(self, process: Process) -> Exit | None:
        """Wait until it has died, or was ended because it has to be started again: ``None``."""
        death = asyncio.ensure_future(process.wait())
        again = asyncio.ensure_future(self._again.wait())
        try:
            await asyncio.wait([death, again], return_when=asyncio.FIRST_COMPLETED)
        finally:
            death.cancel()
            again.cancel()
        if not self._again.is_set():
            return process.exit
        await finish(process.stop())
        return None

    async def _back_off(self, limit_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._again.wait()
        self._again.clear()

    def _trim_log(self, _: Lease) -> None:
        """Begin the log anew once it is long: each lease adds to it, and ``/run`` is memory."""
        with suppress(OSError):
            if log_size(self.program) > _LOG_BYTES:
                os.truncate(self.program.log_file, 0)  # it is only appended to
                self._said = 0

    def report_lost_keeper(self, keeper: asyncio.Task[None]) -> None:
        """Say so when the task of :meth:`keep_alive` ended by an error of its own."""
        if not keeper.cancelled() and (error := keeper.exception()):
            text = f"{self.program.name} is no longer kept alive"
            log.critical(text, exc_info=error)
            self._problems.report(PROBLEM, f"{text}: {error!r}", hint="restart the daemon")

    def _report(self, what: Exit | HostError) -> None:
        text = str(what)
        if isinstance(what, Exit):
            text = f"{self.program.name}: {said_last(self.program, what, since=self._said)}"
        self._problems.report(
            PROBLEM,
            f"{text}; it is started again",
            hint="machines that have an address work on, new ones get none meanwhile",
        )


def _whom(process: Process) -> tuple[str, int]:
    return process.name, process.pid


def _says(pid_file: Path, pid: int) -> bool:
    with suppress(OSError), open_to_read(pid_file) as file:
        return file.read().strip() == str(pid).encode()
    return False


@asynccontextmanager
async def dhcp_server(
    program: DhcpProgram,
    namespace: Namespace,
    inotify: Inotify,
    leases: Leases,
    *,
    bridge_index: Callable[[], int],
    problems: Problems,
    others: Collection[DhcpProgram] | None = None,
    keep: Callable[[], bool] = lambda: False,
) -> AsyncIterator[DhcpServer]:
    """A DHCP server for the network's slots while in the block; it answers on entry.

    :param leases: those of the program's lease file.
    :param problems: told of each death of it.
    :param others: programs of which a dead engine may have left one, as it may have left one of
        ours; ``None``: there was no engine before.
    :param keep: asked at the end: whether it is left running.
    :raises HostError: if it does not start.
    """
    server = DhcpServer(
        program, namespace, inotify, leases, problems=problems, bridge_index=bridge_index
    )
    for other in others or ():
        await server.succeed(other)
    if others is None or not await server.adopt():
        await server.start()
    for other in others or ():  # its leases are in our file now
        other.lease_file.unlink(missing_ok=True)
    keeper = asyncio.create_task(server.keep_alive(), name=f"{program.name} keeper")
    keeper.add_done_callback(server.report_lost_keeper)
    try:
        yield server
    finally:
        keeper.cancel()
        await finish(asyncio.wait([keeper]))
        if server.process and keep():
            server.process.release()
        elif server.process:
            await finish(server.process.stop())

"""The DHCP server: dnsmasq, on the fleet's bridge and nowhere else, kept alive."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from taskgen.errors import HostError
from taskgen.host.command_lines import is_dnsmasq
from taskgen.host.dnsmasq import dnsmasq_command, dnsmasq_config, has_open, salvage
from taskgen.host.inotify import Change, Inotify
from taskgen.host.leases import Lease, Leases
from taskgen.host.netns import Namespace
from taskgen.host.process import Exit, Process, adopt, start
from taskgen.host.waiting import finish
from taskgen.problems import Problems
from taskgen.slots import Network

log = logging.getLogger(__name__)

#: Of what this reports to :class:`~taskgen.problems.Problems`.
PROBLEM = "dhcp"

_START_LIMIT_S = 10.0
_BACK_OFF_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
_LOG_BYTES = 1 << 20
_STABLE_S = 60.0  # having run for so long, it may die again as if for the first time


class DhcpServer:
    """A dnsmasq that is started again when it dies. Made by :func:`dhcp_server`.

    :param bridge_index: gives the index of the bridge that there is now.
    """

    def __init__(
        self,
        network: Network,
        namespace: Namespace,
        inotify: Inotify,
        leases: Leases,
        *,
        problems: Problems,
        bridge_index: Callable[[], int],
    ) -> None:
        self.directory = leases.path.parent
        self.log_file = self.directory / "dnsmasq.log"
        self.process: Process | None = None  #: ``None`` while it is down
        self._network = network
        self._namespace = namespace
        self._inotify = inotify
        self._leases = leases
        self._problems = problems
        self._bridge_index = bridge_index
        self._again = asyncio.Event()
        self._on_answer: list[Callable[[], object]] = []
        leases.on_change(self._trim_log)

    @property
    def _config_file(self) -> Path:
        return self.directory / "dnsmasq.conf"

    @property
    def _pid_file(self) -> Path:
        return self.directory / "dnsmasq.pid"

    def _config(self) -> str:
        return dnsmasq_config(self._network, self.directory, self._bridge_index())

    @property
    def is_current(self) -> bool:
        """Whether it was started for the network and the bridge that there are now."""
        with suppress(OSError):
            return self._config_file.read_text(encoding="ascii") == self._config()
        return False

    async def start(self) -> Process:
        """Start it; it answers when this returns.

        :raises HostError: if it does not become ready, with what it said.
        """
        written = asyncio.Event()
        try:
            self._config_file.write_text(self._config(), encoding="ascii")
            self._leases.put_back()
            self._pid_file.unlink(missing_ok=True)
        except OSError as error:
            raise HostError(f"dnsmasq cannot be started: {error}") from error
        # It writes the file once its socket is bound: from then on no request is lost.
        with self._inotify.watch(self.directory, Change.CLOSE_WRITE, written.set):
            process = await start(
                "dnsmasq",
                dnsmasq_command(self.directory),
                namespace=self._namespace,
                output=self.log_file,
            )
            try:
                await _ready(process, self._pid_file, written)
            except BaseException:
                await finish(process.stop())
                raise
        self.process = process
        return process

    async def adopt(self) -> Process | None:
        """Take over the one that a dead engine left; ``None``: there is none that still serves.

        One that serves nobody any more is ended: its bridge, its namespace or its lease file is
        not the fleet's.
        """
        network = await self._namespace.run(os.stat, "/proc/thread-self/ns/net")
        while process := await adopt(
            "dnsmasq", lambda argv: is_dnsmasq(argv, self._config_file), output=self.log_file
        ):
            with suppress(OSError):
                inside = os.path.samestat(os.stat(f"/proc/{process.pid}/ns/net"), network)
                ready = _says(self._pid_file, process.pid)
                if inside and ready and self.is_current and has_open(process, self._leases.path):
                    self.process = process
                    return process
            if text := salvage(process, self._leases.path):
                self._leases.learn(text)
            log.info("dnsmasq (pid %d) was left, but serves nobody: it is ended", process.pid)
            await finish(process.stop())
        return None

    def restart(self, why: str) -> None:
        """Have it started again at once, by :meth:`keep_alive`."""
        self._problems.report(PROBLEM, f"dnsmasq is started again: {why}")
        self._again.set()

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
            if self.log_file.stat().st_size > _LOG_BYTES:
                os.truncate(self.log_file, 0)  # it is only appended to

    def report_lost_keeper(self, keeper: asyncio.Task[None]) -> None:
        """Say so when the task of :meth:`keep_alive` ended by an error of its own."""
        if not keeper.cancelled() and (error := keeper.exception()):
            log.critical("dnsmasq is no longer kept alive", exc_info=error)
            self._problems.report(
                PROBLEM, f"dnsmasq is no longer kept alive: {error!r}", hint="restart the daemon"
            )

    def _report(self, what: Exit | HostError) -> None:
        text = str(what) if isinstance(what, HostError) else f"dnsmasq: {without_news(what)}"
        self._problems.report(
            PROBLEM,
            f"{text}; it is started again",
            hint="machines that have an address work on, new ones get none meanwhile",
        )


def without_news(end: Exit) -> Exit:
    """How it ended, without what it wrote of leases before: that says nothing of the reason."""
    lines = end.output.splitlines()
    kept = [line for line in lines if not line.startswith("dnsmasq-dhcp[")]
    return replace(end, output="\n".join(kept))


async def _ready(process: Process, pid_file: Path, written: asyncio.Event) -> None:
    death = asyncio.ensure_future(process.wait())
    try:
        async with asyncio.timeout(_START_LIMIT_S):
            while not _says(pid_file, process.pid):
                written.clear()
                change = asyncio.ensure_future(written.wait())
                try:
                    await asyncio.wait([death, change], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
                if death.done():
                    raise HostError(f"dnsmasq did not start: {death.result()}")
    except TimeoutError as error:
        raise HostError(f"dnsmasq was not ready within {_START_LIMIT_S:g} s") from error
    finally:
        death.cancel()


def _says(pid_file: Path, pid: int) -> bool:
    with suppress(FileNotFoundError):
        return pid_file.read_text(encoding="ascii").strip() == str(pid)
    return False


@asynccontextmanager
async def dhcp_server(
    network: Network,
    namespace: Namespace,
    inotify: Inotify,
    leases: Leases,
    *,
    bridge_index: Callable[[], int],
    problems: Problems,
    adopted: bool = False,
    keep: Callable[[], bool] = lambda: False,
) -> AsyncIterator[DhcpServer]:
    """A DHCP server for the network's slots while in the block; it answers on entry.

    :param leases: its lease file, beside which its other files lie.
    :param problems: told of each death of it.
    :param adopted: a dead engine may have left one.
    :param keep: asked at the end: whether it is left running.
    :raises HostError: if it does not start.
    """
    server = DhcpServer(
        network, namespace, inotify, leases, problems=problems, bridge_index=bridge_index
    )
    if not (adopted and await server.adopt()):
        await server.start()
    keeper = asyncio.create_task(server.keep_alive(), name="dnsmasq keeper")
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

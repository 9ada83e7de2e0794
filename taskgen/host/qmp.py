"""QEMU's control connection: what we need of ``qemu.qmp``, with limits and our own errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from qemu.qmp import ConnectError, Message, QMPClient, QMPError
from qemu.qmp.qmp_client import ExecuteError, GreetingError

from taskgen.errors import MachineError
from taskgen.host.waiting import finish

log = logging.getLogger(__name__)

_CLOSE_S = 5.0

#: The name of all clients. They only use it for a logger, and loggers stay for good.
_LOGGER = "taskgen"

#: Name of the event, its data.
EventCallback = Callable[[str, Mapping[str, Any]], object]


class Qmp:
    """A negotiated connection. Made by :meth:`connect`.

    :ivar lost: whether QEMU was seen to be gone: it answers nothing any more.
    """

    def __init__(self, name: str, client: QMPClient, callbacks: list[EventCallback]) -> None:
        self.name = name
        self.lost = False
        self._client = client
        self._callbacks = callbacks
        self._loop = asyncio.get_running_loop()
        self._closing = False
        # The client would keep each event for good, in a history of its own.
        client.events.event_filter = self._take

    @classmethod
    async def connect(cls, name: str, path: Path, *, timeout_s: float = 10.0) -> Qmp:
        """Connect to the Unix socket of a running QEMU.

        :raises MachineError: if that fails, or takes longer than ``timeout_s``.
        """
        try:
            async with asyncio.timeout(timeout_s):
                client = await _greeted(path)
        except TimeoutError as error:
            raise MachineError(f"{name}: QEMU did not answer within {timeout_s:g} s") from error
        except (QMPError, OSError) as error:
            raise MachineError(f"{name}: no connection to QEMU: {error}") from error
        return cls(name, client, [])

    def on_event(self, callback: EventCallback) -> Callable[[], object]:
        """Call ``callback`` with each event (``SHUTDOWN``, ``RESET`` …); it must not block.

        :returns: call that to have it called no more.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def execute(
        self, command: str, arguments: Mapping[str, object] | None = None, *, timeout_s: float = 5.0
    ) -> object:
        """Carry out a command; what QEMU returns.

        :raises MachineError: if QEMU refuses, is gone, or does not answer within ``timeout_s``.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._client.execute(command, dict(arguments or {}))
        except TimeoutError as error:
            raise MachineError(
                f"{self.name}: QEMU did not answer {command} within {timeout_s:g} s"
            ) from error
        except ExecuteError as error:
            raise MachineError(f"{self.name}: {command}: {error}") from error
        except (QMPError, OSError, EOFError) as error:
            self.lost = True
            raise MachineError(f"{self.name}: {command}: {error}") from error

    async def status(self, *, timeout_s: float = 5.0) -> str:
        """QEMU's run state: ``running``, ``paused``, ``guest-panicked`` …

        :raises MachineError: as :meth:`execute`.
        """
        answer = await self.execute("query-status", timeout_s=timeout_s)
        assert isinstance(answer, dict), "query-status returns an object"
        return str(answer["status"])

    async def registers(self, *, timeout_s: float = 2.0) -> str:
        """The registers of the guest's CPUs, as QEMU's monitor shows them.

        :raises MachineError: as :meth:`execute`.
        """
        arguments = {"command-line": "info registers -a"}
        answer = await self.execute("human-monitor-command", arguments, timeout_s=timeout_s)
        return str(answer).replace("\r\n", "\n")

    async def dump_memory(self, file: int, *, timeout_s: float = 60.0) -> None:
        """Write the guest's memory, as an ELF core, to an open file.

        :raises MachineError: as :meth:`execute`; the file may have a part of it then.
        """
        await self.give_file(file, "dump")
        arguments = {"paging": False, "protocol": "fd:dump"}
        await self.execute("dump-guest-memory", arguments, timeout_s=timeout_s)

    async def give_file(self, file: int, name: str) -> None:
        """Give QEMU an open file, for a command that names it (``fd:NAME``).

        :raises MachineError: as :meth:`execute`.
        """
        self._send(file)
        await self.execute("getfd", {"fdname": name})

    async def add_file(self, file: int, label: str) -> str:
        """Give QEMU an open file to keep; the path by which it opens it.

        :param label: by which it can be found again, by ``query-fdsets``.
        :raises MachineError: as :meth:`execute`.
        """
        self._send(file)
        answer = await self.execute("add-fd", {"opaque": label})
        assert isinstance(answer, dict), "add-fd returns an object"
        return f"/dev/fdset/{answer['fdset-id']}"

    async def close(self) -> None:
        """Close the connection; QEMU runs on."""
        self._closing = True
        try:
            await finish(asyncio.wait_for(self._client.disconnect(), _CLOSE_S))
        except (QMPError, OSError, EOFError) as error:  # TimeoutError is an OSError
            log.debug("%s: QMP connection ended: %s", self.name, error)

    def _send(self, file: int) -> None:
        try:
            self._client.send_fd_scm(file)
        except (QMPError, OSError, EOFError) as error:
            self.lost = True
            raise MachineError(f"{self.name}: no file can be given to QEMU: {error}") from error

    def _take(self, event: Message) -> bool:
        # Not here: the client's own reader must not meet what a callback raises.
        self._loop.call_soon(self._tell, event)
        return False

    def _tell(self, event: Message) -> None:
        if self._closing:
            return
        name, data = str(event["event"]), event.get("data")
        data = data if isinstance(data, dict) else {}
        log.debug("%s: QMP event %s %s", self.name, name, data)
        for callback in tuple(self._callbacks):
            callback(name, data)


async def _greeted(path: Path) -> QMPClient:
    """A client that has understood QEMU's greeting.

    What QEMU still has to say to the one before us comes first at times, and once only.
    """
    for again in (True, False):
        client = QMPClient(_LOGGER)
        client.logger.setLevel(logging.CRITICAL)  # what fails is raised, and told by who catches it
        try:
            await client.connect(str(path))
        except ConnectError as error:
            if again and isinstance(error.exc, GreetingError):
                continue
            raise
        return client
    raise AssertionError("the second time it returns or raises")

"""The client for programs without an event loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeVar

import httpx
from httpx_sse import EventSource

from taskgen.client import calls
from taskgen.client.address import Address, find
from taskgen.client.api import Api
from taskgen.client.call import Call, error_of
from taskgen.client.console import Console, open_console
from taskgen.client.routes import Blocking
from taskgen.client.stream import SILENT_S, LogPosition, Position, refusal
from taskgen.client.transport import Repeats, over_socket, unreachable
from taskgen.client.uploads import digest, found
from taskgen.errors import DaemonUnreachableError, TaskgenError
from taskgen.resources import ConsoleLine, EventKind, StreamEvent

T = TypeVar("T")


class Client(Api, Blocking):
    """Talks to the daemon. Its calls block, and may come from any thread.

    :param socket: the daemon's Unix socket; default: see :func:`taskgen.client.address.find`.
    :param url: instead of a socket, as in ``http://127.0.0.1:7323``.
    :param token: for a daemon that listens on TCP.
    :param address: all three, as :func:`taskgen.client.address.find` found them.
    :param timeout_s: limit for each answer.
    :param transport: carries the requests in the place of a socket, for tests.
    :raises ConfigError: if the address makes no sense. Nothing is asked of the daemon yet.
    """

    def __init__(
        self,
        socket: str | os.PathLike[str] | None = None,
        url: str | None = None,
        token: str | None = None,
        *,
        address: Address | None = None,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.address = address or find(socket, url, token)
        if transport is None and self.address.socket is not None:
            transport = over_socket(self.address.socket)
        self._http = httpx.Client(
            transport=transport,
            base_url=self.address.url,
            headers=dict(self.address.headers),
            timeout=timeout_s,
            trust_env=False,
        )

    def execute(self, call: Call[T]) -> T:
        repeats = Repeats(call)
        while True:
            try:
                response = self._http.send(call.request(self._http))
            except httpx.TransportError as error:
                delay_s = repeats.after(error)
                if delay_s is None:
                    raise unreachable(self.address, error) from error
            else:
                delay_s = repeats.after(response)
                if delay_s is None:
                    return call.result(response)
            time.sleep(delay_s)

    def events(
        self,
        after: str | None = None,
        *,
        kinds: Iterable[EventKind | str] = (),
        job: str | None = None,
        run_events: bool = False,
    ) -> Generator[StreamEvent, None, None]:
        """What happens, as it happens, for as long as one listens. Goes on by itself after a
        connection was lost; what cannot be had any more is told by ``EventKind.RESYNC``.

        :param after: id of the event to go on behind; default: from now on.
        :param kinds: only these; default: all but ``EventKind.RUN_EVENT``.
        :param job: only what is told of this job.
        :param run_events: also single events of runs; these are many.
        :raises DaemonUnreachableError: if it cannot be reached at first.
        """
        position = Position(after, kinds=kinds, job=job, run_events=run_events)
        while True:
            try:
                with self._stream(position.call(), SILENT_S, refusal) as response:
                    position.connected()
                    for sent in EventSource(response).iter_sse():
                        if (event := position.read(sent)) is not None:
                            yield event
            except httpx.TransportError as error:
                if not position.ever:
                    raise unreachable(self.address, error) from error
            except DaemonUnreachableError:
                if not position.ever:
                    raise
            time.sleep(position.delay_s())

    def results(self, **choice: Any) -> Generator[bytes, None, None]:
        """Results of all jobs as the content of a file, piece by piece.

        :param choice: parameters of :func:`taskgen.client.calls.results`.
        :raises DaemonUnreachableError: also if the connection is lost in the middle.
        """
        try:
            with self._stream(calls.results(**choice)) as response:
                yield from response.iter_bytes()
        except httpx.TransportError as error:
            raise unreachable(self.address, error) from error

    def save_results(self, file: IO[bytes], **choice: Any) -> int:
        """Write results into a file that is open; parameters and errors as :meth:`results`.

        :returns: the number of bytes.
        """
        return sum(file.write(piece) for piece in self.results(**choice))

    def console_lines(
        self, name: str, *, lost: Callable[[], object] = lambda: None, **choice: Any
    ) -> Generator[ConsoleLine, None, None]:
        """What a machine's console has printed, line by line, as it is read.

        With ``follow`` and no ``boot`` it has no end: after a connection was lost it goes on with
        the next daemon where it was, and no line is missing or told twice.

        :param lost: called when such a connection is lost.
        :param choice: parameters of :func:`taskgen.client.calls.console_lines`.
        :raises DaemonUnreachableError: if it cannot be reached at first; without ``follow``, or
            with ``boot``, also if the connection is lost.
        """
        position = LogPosition(name, choice)
        while True:
            refused = refusal if position.ever else error_of
            try:
                with self._stream(position.call(), SILENT_S, refused) as response:
                    position.connected()
                    for line in filter(None, response.iter_lines()):
                        yield position.read(line)
                if not position.lasts:
                    return
            except httpx.TransportError as error:
                if not (position.lasts and position.ever):
                    raise unreachable(self.address, error) from error
            except DaemonUnreachableError:
                if not position.ever:
                    raise
            if position.lost():
                lost()
            time.sleep(position.delay_s())

    def console(self, name: str, *, recent: bool = False) -> Console:
        """A machine's console, from now on; several may look at once.

        :param recent: begin with its last lines.
        :raises DaemonUnreachableError: if the daemon cannot be reached.
        :raises TaskgenError: if it says why not.
        """
        return open_console(self.address, name, recent=recent)

    def upload_binary(self, path: str | os.PathLike[str]) -> str:
        """Give the daemon a task binary, unless it has it.

        :returns: its SHA-256, as a job names it.
        :raises BinaryError: if no target could run it.
        """
        content = calls.read_binary(path)
        sha256 = digest(content)
        if not self.has_binary(sha256):
            self.put_binary(sha256, content)
        return sha256

    def ensure_binaries(self, names: Iterable[str], directories: Iterable[Path]) -> dict[str, str]:
        """Give the daemon the task binaries that lie in our own directories.

        :param names: ``pkg`` of the tasks; see :meth:`TaskSet.binaries`.
        :param directories: searched in this order. The daemon has its own for the rest.
        :returns: what a job says as ``binaries``: SHA-256 by name, of those that were found.
        """
        return {name: self.upload_binary(path) for name, path in found(names, directories).items()}

    @contextmanager
    def _stream(
        self,
        call: Call[Any],
        read_s: float | None = None,
        refused: Callable[[httpx.Response], TaskgenError] = error_of,
    ) -> Iterator[httpx.Response]:
        request = call.request(self._http)
        if read_s is not None:
            request.extensions = {"timeout": {**request.extensions["timeout"], "read": read_s}}
        response = self._http.send(request, stream=True)
        try:
            if not response.is_success:
                response.read()
                raise refused(response)
            yield response
        finally:
            response.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

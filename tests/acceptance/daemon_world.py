"""A daemon for all tests of a module, started as a user starts it, and what asks it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command import PATIENCE_S, TASKGEN, Result, environment, taskgen
from world import nothing_left

from taskgen.client import AsyncClient, Client
from taskgen.client.stream import Position
from taskgen.resources import Job

__all__ = [
    "Daemon",
    "Terminal",
    "asked",
    "daemon",
    "done",
    "job_now",
    "machines_now",
    "no_leftovers",
    "running",
    "until",
    "whole_life",
]


class Daemon:
    """``taskgen daemon``, which can be killed and started again.

    :param prefix: the command that starts it, where it is not started directly.
    :param variables: settings of its own.
    :ivar said: the lines of its log.
    """

    def __init__(self, state: Path, prefix: Sequence[str] = (), **variables: str) -> None:
        self.state = state
        self.variables = variables
        self._prefix = prefix
        self.said: list[str] = []
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.process = subprocess.Popen(
            [*self._prefix, TASKGEN, "daemon"],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(
                TASKGEN_STATE=str(self.state),
                TASKGEN_FLEET__MAX_MACHINES="1",
                TASKGEN_RUN__SLACK_S="2",  # how long a run that hangs is waited for
                **self.variables,
            ),
            start_new_session=True,
        )
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=[self.process, ready])
        self._reader.start()
        assert ready.wait(PATIENCE_S), self.said
        assert self.process.poll() is None, self.said

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        for line in process.stderr:
            self.said.append(line)
            if "ready" in line:
                ready.set()
        ready.set()  # it has ended, which is seen

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Have it end; the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self._reader.join()
        self.process.stderr.close()
        return status


@contextmanager
def running(state: Path, prefix: Sequence[str] = (), **variables: str) -> Iterator[Daemon]:
    """A daemon in the block, which has to end well; parameters of :class:`Daemon`."""
    made = Daemon(state, prefix, **variables)
    try:
        yield made
    finally:
        status = made.end()
    assert status == 0, "".join(made.said)


@contextmanager
def whole_life(*prefix: str) -> Iterator[Daemon]:
    """A daemon in the block, which leaves nothing behind in the end."""
    with (
        nothing_left(),
        # Not below pytest's own directory: QEMU's user cannot pass that.
        tempfile.TemporaryDirectory(dir="/run") as state,
        running(Path(state), prefix) as made,
    ):
        yield made


@pytest.fixture(scope="module", autouse=True)
def daemon(own_world) -> Iterator[Daemon]:
    """The daemon of the module."""
    with whole_life() as made:
        yield made


@pytest.fixture(autouse=True)
def no_leftovers() -> None:
    """Machines outlive a test here: :func:`daemon` looks at the end of the module."""


def done(*words: str, **options: Any) -> Result:
    """A command that has to succeed."""
    result = taskgen(*words, **options)
    assert result.status == 0, result.err
    return result


def asked(*words: str) -> Any:
    """What a command says to programs."""
    return json.loads(done(*words, "--json").out)


def until(reached: Callable[[], object]) -> None:
    """Wait until something is so; looked at whenever the daemon tells of an event."""

    async def look() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            AsyncClient() as client,
            client.listen(Position()) as events,
        ):
            if reached():
                return
            async for _ in events:
                if reached():
                    return

    asyncio.run(look())


def job_now(job_id: str) -> Job:
    """A job as it is now, without the time that a command takes to be loaded."""
    with Client() as client:
        return client.job(job_id)


def machines_now(state: str | None = None) -> list[str]:
    """The names of the machines, or of those in one state."""
    with Client() as client:
        return [each.name for each in client.machines() if state in (None, each.state)]


class Terminal:
    """A command on a terminal of its own, with somebody who types."""

    def __init__(self, process: subprocess.Popen[bytes], mine: int, its: int) -> None:
        self.process = process
        self.shown = ""
        self._mine, self._its = mine, its
        self._end = os.pidfd_open(process.pid)

    def wait_for(self, text: str) -> None:
        """Read until ``text`` is shown.

        :raises AssertionError: if the command ends without having shown it.
        """
        self.wait_for_match(re.escape(text))

    def wait_for_match(self, pattern: str) -> None:
        """As :meth:`wait_for`, for a regular expression."""
        while not re.search(pattern, self.shown):
            ready, _, _ = select.select([self._mine, self._end], [], [])
            assert self._mine in ready, f"ended without saying {pattern!r}: {self.shown}"
            piece = os.read(self._mine, 65536)
            self.shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", piece.decode(errors="replace"))

    def type(self, keys: bytes) -> None:
        os.write(self._mine, keys)

    @property
    def modes(self) -> list[Any]:
        """How the terminal is set."""
        return termios.tcgetattr(self._its)

    @classmethod
    def running(cls, *words: str) -> AbstractContextManager[Terminal]:
        """As :meth:`of`, for a command of ours."""
        return cls.of([TASKGEN, *words])

    @classmethod
    @contextmanager
    def of(
        cls, command: Sequence[str | Path], variables: Mapping[str, str] | None = None
    ) -> Iterator[Terminal]:
        """Start it; killed at the end, and after :data:`PATIENCE_S`, if it is still there."""
        mine, its = pty.openpty()
        variables = {**(variables or environment()), "TERM": "xterm"}
        with subprocess.Popen(
            command,
            stdin=its,
            stdout=its,
            stderr=its,
            env=variables,
            start_new_session=True,
        ) as process:
            patience = threading.Timer(PATIENCE_S, process.kill)
            patience.start()
            terminal = cls(process, mine, its)
            try:
                yield terminal
            finally:
                patience.cancel()
                process.kill()
                os.close(terminal._end)
                os.close(its)
                os.close(mine)

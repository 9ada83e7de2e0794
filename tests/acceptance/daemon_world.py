"""A daemon for all tests of a module, started as a user starts it, and what asks it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from command import PATIENCE_S, TASKGEN, Result, environment, taskgen
from terminal import Terminal as AnyTerminal
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
        self._more = threading.Condition()
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
            with self._more:
                self.said.append(line)
                self._more.notify_all()
            if "ready" in line:
                ready.set()
        ready.set()  # it has ended, which is seen

    def wait_for(self, text: str) -> None:
        """Wait until its log has a line with ``text`` in it."""
        with self._more:
            assert self._more.wait_for(
                lambda: any(text in line for line in self.said), PATIENCE_S
            ), self.said

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


class Terminal(AnyTerminal):
    """A terminal for commands of ours, too."""

    @classmethod
    def running(cls, *words: str) -> AbstractContextManager[Terminal]:
        """As :meth:`of`, for a command of ours."""
        return cls.of([TASKGEN, *words], environment())

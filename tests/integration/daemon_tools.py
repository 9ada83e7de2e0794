"""Runs the daemon as a process of its own, and reads what it logs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from taskgen.protocol import Start
from taskgen.queue import JobQueue, JobSpec
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.testing import FakeTaskloader

TASKGEND = Path(sys.executable).parent / "taskgend"

PORT = 3001

#: Seconds after which a daemon counts as hung; other work may have the cores.
PATIENCE_S = 120


class RunningDaemon:
    """A daemon while it runs.

    :ivar said: all that it has logged, as far as it was read.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[dict[str, str]] = []

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for(self, text: str) -> dict[str, str]:
        """The next message with ``text`` in it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(json.loads(line))
            if text in self.said[-1]["message"]:
                return self.said[-1]
        raise AssertionError(f"ended without saying {text!r}: {self.messages}")

    @property
    def messages(self) -> list[str]:
        return [entry["message"] for entry in self.said]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for its end; the exit status."""
        assert self.process.stderr is not None
        self.said += [json.loads(line) for line in self.process.stderr]
        return self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and wait for that."""
        self.signal(signal.SIGTERM)
        return self.end()


@contextmanager
def daemon(settings: Path, *, ready: bool = True, **variables: str):
    """A daemon in the block; killed at its end, and after :data:`PATIENCE_S`, if it is still there.

    :param ready: wait for that first.
    """
    with subprocess.Popen(
        [TASKGEND, "--config", settings],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TASKGEN_QEMU__ACCELERATOR": "tcg", **variables},
        start_new_session=True,
    ) as process:
        patience = threading.Timer(PATIENCE_S, process.kill)
        patience.start()
        try:
            running = RunningDaemon(process)
            if ready:
                running.wait_for("ready: ")
            yield running
        finally:
            patience.cancel()
            process.kill()
            patience.join()


def write_settings(path: Path, *, boards: int = 1, more: str = "") -> Path:
    """Settings of a daemon that drives boards on the loopback device, and launches nothing."""
    addresses = ", ".join(f'"127.0.0.{number + 2}"' for number in range(boards))
    path.write_text(
        f"[hosts]\naddresses = [{addresses}]\nport = {PORT}\nfirst_contact = 'trust'\n"
        f"answer_s = 30\n[fleet]\nlaunch = false\n{more}"
    )
    return path


class _Received(deque):
    """Messages of a board; lets a thread wait for those that start a run."""

    def __init__(self):
        super().__init__(maxlen=1000)
        self.starts = threading.Semaphore(0)

    def append(self, message):
        super().append(message)
        if isinstance(message, Start):
            self.starts.release()


class FakeBoard(FakeTaskloader):
    """A board that tells other threads when it starts a run."""

    def __init__(self, **keys):
        super().__init__(**keys)
        self.received = _Received()

    def wait_for_start(self):
        """Wait until another run was started."""
        assert self.received.starts.acquire(timeout=PATIENCE_S), "no run was started"


@asynccontextmanager
async def boards(number: int = 1, **keys):
    """Fake boards on the loopback device."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                FakeBoard(host=f"127.0.0.{index + 2}", port=PORT, **keys)
            )
            for index in range(number)
        ]


def with_boards(test, number: int = 1, **keys):
    """Call a blocking test while there are boards."""

    async def main():
        async with boards(number, **keys) as there, asyncio.timeout(PATIENCE_S):
            return await asyncio.to_thread(test, *there)

    return asyncio.run(main())


def sweep(variants: int, period_ms: int = 10) -> TaskSet:
    """So many variants, each of one activation that takes its period."""
    return TaskSet([Task(pkg="hey", period=period_ms, priority=list(range(1, variants + 1)))])


def queue_job(state: Path, taskset: TaskSet, **keys) -> str:
    """Put a job into the queue of a daemon that does not run; its id."""

    async def main():
        async with JobQueue.open(state / "queue.sqlite") as queue:
            return await queue.add(JobSpec(taskset, **keys))

    return asyncio.run(main())


def look_at(state: Path, job_id: str):
    """A job of a daemon that does not run, and the positions of its results, with repeats."""

    async def main():
        async with JobQueue.open(state / "queue.sqlite") as queue:
            info = await queue.job(job_id)
            return info, [each.position async for each in queue.results(job_id)]

    return asyncio.run(main())

"""What the queue and the engine cost: per run, and per queued variant.

``python -m benchmarks.engine [--json FILE] [--quick]``

- Runs that end at once on 1, 8, 64 and 256 fake targets (``benchmarks/tools/fakes.py``, in another
  process), with everything: queue on disk, each result durable before it is acknowledged, sessions,
  events put together to activations. The floor exchanges the same bytes and does nothing else
  (``benchmarks/tools/exchange.py``). CPU is that of our process, all its threads.
- Memory and times with 10**9 queued variants, beside 10**3.

A round of the floor and a round of ours take turns, and what counts is their ratio.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.tools.exchange import BareClient, connected, work_off
from benchmarks.tools.fakes import Servers, fakes
from benchmarks.tools.stopping import stopping_in_order
from benchmarks.tools.table import Line, paired, parser, report
from taskgen import assets
from taskgen.binaries import Binaries
from taskgen.board import Board, BoardKind
from taskgen.engine import Engine
from taskgen.interfaces import Emit, Outcome, Run
from taskgen.profiles import Profile, load_profile
from taskgen.protocol import Binary
from taskgen.queue import JobQueue, JobSpec
from taskgen.settings import HostSettings
from taskgen.taskset import TaskSet

PROFILE = "linux-x86_64"

#: Targets, and runs of a round on all of them: short ones, as each is compared with its neighbour.
CASES = {1: 1200, 8: 2400, 64: 3840, 256: 7680}


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    options = _options()
    logging.getLogger("taskgen").setLevel(logging.ERROR)
    if options.queued is not None:
        print(json.dumps(asyncio.run(_queued(options.queued, options.folder))))
        return
    lines: list[Line] = []
    with (
        stopping_in_order(),
        tempfile.TemporaryDirectory(prefix="taskgen-bench-") as folder,
    ):
        for targets, runs in CASES.items():
            if not options.targets or targets in options.targets:
                lines += _runs(targets, runs, 3 if options.quick else 12, Path(folder))
        if not options.targets:
            lines += _queueing(5 if options.quick else 15, Path(folder))
    report("queue and engine", lines, options)


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--targets", type=int, action="append", help="only so many; repeatable")
    made.add_argument("--queued", type=int, help=argparse.SUPPRESS)  # for the processes below
    made.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return made.parse_args()


# Runs that end at once.


def sweep(variants: int) -> TaskSet:
    """A task-set with so many variants, each of one activation."""
    return TaskSet([{"pkg": "hey", "period": 10, "priority": 10, "offset": range(variants)}])


def _runs(targets: int, runs: int, rounds: int, folder: Path) -> list[Line]:
    floor: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    with fakes(targets) as servers:
        for number in range(rounds):
            for which in "AB" if number % 2 == 0 else "BA":
                if which == "A":
                    floor.append(asyncio.run(_bare_round(servers, runs)))
                else:
                    ours.append(asyncio.run(_our_round(servers, runs, folder)))
            print(
                f"{targets} targets, round {number + 1} of {rounds}: µs wall and CPU of a run:"
                f" floor {floor[-1]}, ours {ours[-1]}",
                file=sys.stderr,
            )
    rate = 1e6 / statistics.median(wall for wall, _ in ours)
    print(f"{targets} targets: {rate:.0f} runs per second", file=sys.stderr)
    name = f"{targets} target{'s' if targets > 1 else ''}"
    return [
        paired(
            f"{name}: {what} of a run",
            [each[which] for each in floor],
            [each[which] for each in ours],
            goal=4,
            unit="µs",
        )
        for which, what in ((1, "CPU"), (0, "time"))
    ]


class _Meter:
    """Wall and CPU time of a run in µs, over what is done in the block."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self.us = (0.0, 0.0)

    def __enter__(self) -> _Meter:
        gc.collect()
        self._began = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc: object) -> None:
        wall, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        self.us = (round(wall / self._runs * 1e6, 1), round(cpu / self._runs * 1e6, 1))


async def _bare_round(servers: Servers, runs: int) -> tuple[float, float]:
    hey = _binaries().get("hey")
    clients = [
        await BareClient.over(await connected(str(address), servers.port))
        for address in servers.addresses
    ]
    for client in clients:
        await client.upload(Binary(hey.name, hey.content))
    descriptions = [variant.description() for variant in sweep(runs).variants()]
    await work_off(clients, descriptions[: len(clients)], 1)
    with _Meter(runs) as meter:
        await work_off(clients, descriptions, 1)
    for client in clients:
        await client.close()
    return meter.us


async def _our_round(servers: Servers, runs: int, folder: Path) -> tuple[float, float]:
    kind = BoardKind(
        profile=load_profile(PROFILE),
        binaries=_binaries(),
        settings=HostSettings(port=servers.port, connect_s=30, first_contact="trust"),
    )
    boards = []
    for address in servers.addresses:
        board = await Board.find(str(address), address, kind)
        assert isinstance(board, Board), board
        boards.append(board)
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        async with JobQueue.open(Path(directory) / "queue.db") as queue:
            await _work_off(queue, boards, len(boards))
            with _Meter(runs) as meter:
                await _work_off(queue, boards, runs)
            assert queue.counts.done == len(boards) + runs, queue.counts
    for board in boards:
        await board.close()
    return meter.us


async def _work_off(queue: JobQueue, boards: Sequence[Board], runs: int) -> None:
    job_id = await queue.add(JobSpec(sweep(runs)))
    engine = Engine(queue)
    async with asyncio.TaskGroup() as group:
        for board in boards:
            group.create_task(engine.serve(board, asyncio.Event()))
    await queue.wait_job(job_id)
    await engine.close()


def _binaries() -> Binaries:
    profile: Profile = load_profile(PROFILE)
    assert profile.binaries
    return Binaries([profile.binaries], profile.architecture)


# Queued variants.


def _queueing(rounds: int, folder: Path) -> list[Line]:
    few: list[dict[str, float]] = []
    many: list[dict[str, float]] = []
    for number in range(rounds):
        for variants in (10**3, 10**9) if number % 2 == 0 else (10**9, 10**3):
            with tempfile.TemporaryDirectory(dir=folder) as directory:
                command = [sys.executable, "-m", "benchmarks.engine"]
                done = subprocess.run(
                    [*command, "--queued", str(variants), "--folder", directory],
                    cwd=assets.root(),
                    check=True,
                    stdout=subprocess.PIPE,
                )
            (few if variants == 10**3 else many).append(json.loads(done.stdout))
    return [
        paired(
            f"10**9 queued variants, beside 10**3: {what}",
            [each[key] for each in few],
            [each[key] for each in many],
            goal=goal,
            unit=unit,
        )
        for key, what, unit, goal in (
            ("memory_mb", "memory at the most", "MB", 1.02),
            ("add_ms", "adding the job", "ms", 1.1),
            ("seek_ms", "adding with an offset in the last tenth, first run", "ms", 1.1),
        )
    ]


async def _queued(variants: int, folder: Path) -> dict[str, float]:
    """What a process of its own needs for a job of that size; medians of several jobs."""

    class Target:
        name, profile, usable = "target", PROFILE, True

        async def execute(self, run: Run, emit: Emit) -> Outcome:
            raise NotImplementedError

    taskset = TaskSet(
        [{"pkg": "hey", **dict.fromkeys(("period", "deadline", "offset"), range(1, 1001))}]
    )
    target = Target()
    add_ms, seek_ms = [], []
    async with JobQueue.open(folder / "queue.db") as queue:
        for _ in range(50):
            began = time.perf_counter()
            whole = await queue.add(JobSpec(taskset, limit=variants))
            add_ms.append((time.perf_counter() - began) * 1e3)
            run = await queue.claim(target)
            assert run
            await queue.push_back(run)
            await queue.cancel(whole)
            began = time.perf_counter()
            late = await queue.add(JobSpec(taskset, offset=variants * 9 // 10, limit=variants))
            run = await queue.claim(target)
            seek_ms.append((time.perf_counter() - began) * 1e3)
            assert run
            assert run.variant.index == variants * 9 // 10
            await queue.push_back(run)
            await queue.cancel(late)
    return {
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "add_ms": statistics.median(add_ms),
        "seek_ms": statistics.median(seek_ms),
    }


if __name__ == "__main__":
    main()

"""Time and memory of variants and of generated task-sets, beside the bare thing on the same data.

``python -m benchmarks.variants [--json FILE] [--quick]``

Each line has a floor that is measured in the same run, a round of the floor and a round of ours in
turn, in CPU time, and the fastest round of each counts: other work on the machine can only make a
round slower.
Memory is what Python allocated at the most while 10**7 variants passed by, less what it had before.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, product
from typing import Any

import numpy as np

from benchmarks.tools.stopping import stopping_in_order
from benchmarks.tools.table import Line, compare, parser, report
from taskgen.generate import generate
from taskgen.generators.rows import GeneratedRows
from taskgen.task import Task
from taskgen.taskset import TaskSet

#: Three tasks with three keys each, as a sweep over rates, urgencies and loads has them.
PERIODS = (10, 20, 40, 50, 100, 200)
PRIORITIES = (10, 30, 50, 70, 90, 110)
LOADS = (1, 2, 5, 10, 20, 50)

N_SETS = 100_000
N_TASKS = 10


def main() -> None:
    """Measure, print the table, and write it where ``--json`` says."""
    options = parser(__doc__).parse_args()
    rounds, walked = (3, 10**5) if options.quick else (9, 10**6)
    with stopping_in_order():
        lines = [
            iteration(rounds, walked),
            memory(10**6 if options.quick else 10**7),
            random_access(rounds),
            utilisations(rounds),
            generated_sets(2 if options.quick else 5),
        ]
    report("variants and generated sets", lines, options)


def iteration(rounds: int, walked: int) -> Line:
    """Walk variants, and the tuples of ``itertools.product``."""
    variants = sweep().variants()
    floor, ours = in_turn(
        rounds,
        1e9 / walked,
        lambda: exhaust(islice(bare_product(), walked)),
        lambda: exhaust(islice(variants, walked)),
    )
    return line("one step over 10077696 variants, 9 keys", floor, ours, 5, "ns")


def memory(walked: int) -> Line:
    """Peak of what Python holds while many variants pass by."""

    def peak(make: Callable[[], Iterator[Any]]) -> float:
        tracemalloc.start()
        try:
            iterator = make()
            exhaust(islice(iterator, 1000))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            exhaust(islice(iterator, walked))
            return (tracemalloc.get_traced_memory()[1] - before) / 1024
        finally:
            tracemalloc.stop()

    variants = sweep().variants()
    few = peak(lambda: islice(iter(variants), 2000))
    many = peak(lambda: iter(variants))
    # Constant: as much for all as for the first thousand, to a few objects that are in flight.
    name = f"memory over the first 1000 and over {walked} variants"
    return line(name, [few + 1], [many + 1], 1.5, "KiB")


def random_access(rounds: int) -> Line:
    """Build variant 0, and variant 10**12."""
    variants = TaskSet(
        [Task(pkg="idle", period=range(10, 1010), offset=range(1000)) for _ in range(3)]
    ).variants()
    assert variants.count == 10**18
    repeats = 1000

    def build(index: int) -> None:
        for _ in range(repeats):
            assert variants[index].tasks

    first, far = in_turn(rounds, 1e6 / repeats, lambda: build(0), lambda: build(10**12))
    return line("build variant 0 and variant 10**12 of 10**18", first, far, 1.5, "µs")


def utilisations(rounds: int) -> Line:
    """Draw the utilisations of all sets as arrays: plain numpy for all at once, and ours."""
    rows = GeneratedRows(generated().recipe, None)
    seeds = iter(range(10**6))
    floor, ours = in_turn(
        rounds,
        1e3,
        lambda: numpy_uunifast(np.random.default_rng(next(seeds)), N_SETS, N_TASKS, 0.7),
        lambda: rows.utilisations(0, N_SETS),
    )
    name = f"UUniFast, {N_SETS} x {N_TASKS}, beside numpy for all at once"
    return line(name, floor, ours, 2, "ms")


def generated_sets(rounds: int) -> Line:
    """Walk whole sets, and draw only utilisations, set by set, as the paper has it."""
    variants = generated().variants()

    def plain() -> None:
        rng = np.random.default_rng(1)
        for _ in range(N_SETS):
            uunifast(rng, N_TASKS, 0.7)

    floor, ours = in_turn(rounds, 1e6 / N_SETS, plain, lambda: exhaust(variants))
    name = f"one of {N_SETS} sets of {N_TASKS} tasks, beside UUniFast set by set"
    return line(name, floor, ours, 2, "µs")


def sweep() -> TaskSet:
    """A task-set with 6**9 = 10077696 variants."""
    return TaskSet(
        [
            Task(pkg="idle", period=PERIODS, priority=PRIORITIES, config={"arg1": LOADS})
            for _ in range(3)
        ]
    )


def bare_product() -> Iterator[tuple[int, ...]]:
    """The same values in the same order."""
    return product(*[LOADS, PERIODS, PRIORITIES] * 3)


def generated() -> Any:
    """Sets by UUniFast, with periods, execution times and priorities."""
    return generate(n_tasks=N_TASKS, utilisation=0.7, n_sets=N_SETS, seed=1, method="uunifast")


def numpy_uunifast(rng: np.random.Generator, sets: int, n: int, total: float) -> Any:
    """Bini and Buttazzo's UUniFast for many sets at once, as one writes it with numpy."""
    left = np.empty((sets, n + 1))
    left[:, 0] = total
    left[:, -1] = 0.0
    left[:, 1:-1] = total * np.cumprod(
        rng.random((sets, n - 1)) ** (1.0 / np.arange(n - 1, 0, -1)), axis=1
    )
    return left[:, :-1] - left[:, 1:]


def uunifast(rng: np.random.Generator, n: int, total: float) -> list[float]:
    """The same for one set, as it stands in the paper."""
    values = []
    left = total
    for task in range(1, n):
        rest = left * rng.random() ** (1 / (n - task))
        values.append(left - rest)
        left = rest
    values.append(left)
    return values


def exhaust(iterable: Iterable[Any]) -> None:
    """Walk it and keep nothing."""
    for _ in iterable:
        pass


def in_turn(
    rounds: int, scale: float, floor: Callable[[], Any], ours: Callable[[], Any]
) -> tuple[list[float], list[float]]:
    """What each round took of CPU, in seconds times ``scale``."""
    took: tuple[list[float], list[float]] = [], []
    for _ in range(rounds):
        for which, call in enumerate((floor, ours)):
            started = time.process_time()
            call()
            took[which].append((time.process_time() - started) * scale)
    return took


def line(name: str, floor: Sequence[float], ours: Sequence[float], goal: float, unit: str) -> Line:
    """The fastest rounds of both sides."""
    return compare(name, floor, ours, goal=goal, unit=unit, of=min)


if __name__ == "__main__":
    main()

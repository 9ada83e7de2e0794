"""Blocks and the task-sets that come with Taskgen."""

from __future__ import annotations

import importlib
import pkgutil
from inspect import signature

import pytest

import taskgen.blocks
from taskgen.blocks import cond_42, cond_mod, deadline, hey, idle, jobs, period, pi, priority, quota
from taskgen.randomness import between, seeded
from taskgen.task import Task
from taskgen.taskset import BlockTaskSet, TaskSet
from taskgen.taskset_names import list_tasksets, load_taskset
from taskgen.tasksets import example
from taskgen.tasksets.hey import Hey0TaskSet, Hey1TaskSet, Hey5TaskSet, Hey6TaskSet

MODULES = [
    module.name
    for module in pkgutil.iter_modules(taskgen.blocks.__path__)
    if not module.name.startswith("_")
]


@pytest.mark.parametrize("name", MODULES)
def test_every_block_makes_a_task(name):
    module = importlib.import_module(f"taskgen.blocks.{name}")
    imported = {"Any", "FrozenMapping", "Mapping", "Program", "Spread"}
    blocks = [each for each in vars(module) if each[0].isupper() and each not in imported]
    assert blocks
    for each in blocks:
        block = getattr(module, each)
        if each == "Value":
            block = block("1M" if name == "quota" else 5)
        elif each == "Variants" and signature(block).parameters:
            block = block(5)
        assert len(Task(block)) >= 1, each
    assert name in taskgen.blocks.__all__


@pytest.mark.parametrize("module", [period, priority, deadline])
def test_split_ranges_do_not_meet_and_cover_all(module):
    drawn = {}
    for part in ("HighRandom", "MediumRandom", "LowRandom"):
        with seeded(1):
            values = {next(iter(getattr(module, part)().values())) for _ in range(3000)}
        drawn[part] = values
    high, medium, low = drawn.values()
    assert max(high) < min(medium) <= max(medium) < min(low)
    assert high | medium | low == set(next(iter(module.Variants().values())))


@pytest.mark.parametrize("module", [period, priority, deadline, jobs, quota])
def test_random_draws_from_the_whole_range(module):
    with seeded(2):
        drawn = {next(iter(module.Random().values())) for _ in range(3000)}
    assert drawn == set(next(iter(module.Variants().values())))


def test_the_numbers_between():
    with seeded(3):
        drawn = [between(5, 7) for _ in range(300)]
    assert set(drawn) == {5, 6, 7}
    with seeded(3):
        assert [between(5, 7) for _ in range(300)] == drawn
    with seeded(4):
        assert [between(5, 7) for _ in range(300)] != drawn


def test_blocks_cannot_be_changed_by_those_who_use_them():
    task = Task(hey.HelloWorld, idle.Idle, pi.Value(3), cond_42.Break, cond_mod.Value(3))
    task["config.arg1"] = 99
    assert cond_42.Break["config"] == {"arg1": 42}
    for block in (hey.HelloWorld, idle.Idle["config"], cond_mod.Break["config"]):
        with pytest.raises(TypeError):
            block["arg1"] = 1


def test_a_random_block_is_drawn_anew_for_each_task():
    taskset = BlockTaskSet([hey.HelloWorld] * 20, priority.Random, seed=1)
    assert len({task["priority"] for task in taskset}) > 5
    assert taskset.metadata == {"seed": 1}
    again = BlockTaskSet([hey.HelloWorld] * 20, priority.Random, seed=1)
    assert list(taskset) == list(again)


def test_a_seed_that_was_drawn_makes_the_set_again():
    first = Hey5TaskSet()
    assert list(Hey5TaskSet(seed=first.metadata["seed"])) == list(first)
    assert Hey1TaskSet().metadata == {}


def test_nothing_random_no_seed():
    assert BlockTaskSet(hey.HelloWorld, period.Value(1)).metadata == {}


@pytest.mark.parametrize("name", [name for name, _ in list_tasksets()])
def test_every_task_set_is_valid(name):
    taskset = load_taskset(name)
    assert isinstance(taskset, TaskSet)
    taskset.validate()
    assert taskset.variants()[-1].description().startswith(b"<taskset><periodictask><id>1</id>")


def test_every_task_set_has_a_summary():
    assert all(summary.endswith((".", ":")) for _, summary in list_tasksets())


def test_every_binary_has_an_example():
    used = set()
    for name, _ in list_tasksets():
        if name.startswith("example."):
            used |= load_taskset(name).binaries()
    assert used == {"hey", "namaste", "pi", "linpack", "tumatmul", "cond_42", "cond_mod", "idle"}


def test_hey():
    assert Hey0TaskSet()[0]["priority"] == 10
    assert Hey1TaskSet()[0]["priority"] == 100
    assert [len(load_taskset(f"hey.Hey{n}TaskSet")) for n in range(7)] == [1, 1, 1, 2, 4, 1, 1]
    variants = Hey6TaskSet().variants()
    assert [variant.tasks[0]["priority"] for variant in variants] == list(range(128))


def test_the_demo_has_8_variants_of_about_a_second():
    variants = example.Demo().variants()
    assert len(variants) == 8
    for variant in variants:
        longest_ms = max(task["period"] * (task["numberofjobs"] + 1) for task in variant.tasks)
        assert 500 <= longest_ms <= 1500

"""Generated task-sets as wholes: valid, repeatable, each found by its number."""

from __future__ import annotations

import subprocess
import sys

import pytest

from taskgen.admission import linux_guest_refuses
from taskgen.blocks import hey, idle
from taskgen.errors import TaskSetError
from taskgen.generate import generate
from taskgen.generators.priorities import (
    audsley,
    deadline_monotonic,
    rate_monotonic,
)
from taskgen.generators.response_time import Load
from taskgen.task import Task

np = pytest.importorskip("numpy")


def test_set_i_is_variant_i_and_neither_needs_the_others():
    sets = generate(n_tasks=4, utilisation=0.7, n_sets=200, seed=9)
    variants = sets.variants()
    assert len(sets) == len(variants) == 200
    walked = list(variants)
    for number in (0, 1, 31, 32, 199):
        alone = generate(n_tasks=4, utilisation=0.7, n_sets=200, seed=9).variants()[number]
        assert alone == walked[number]
        assert sets[number].variants()[0].tasks == walked[number].tasks
        assert list(sets)[number].variants()[0].tasks == walked[number].tasks
        assert variants.index_of(alone) == number
    assert sets[-1].metadata["number"] == 199
    assert sets[5].metadata["generator"]["seed"] == 9
    fewer = generate(n_tasks=4, utilisation=0.7, n_sets=33, seed=9).variants()
    assert fewer[32] == walked[32]


def test_slices_of_generated_sets():
    sets = generate(n_tasks=2, utilisation=0.5, n_sets=10, seed=1)
    part = sets[8:2:-3]
    assert [each.metadata["number"] for each in part] == [8, 5]
    assert list(part[1]) == list(sets[5])
    with pytest.raises(TaskSetError, match="slice its variants"):
        part.taskset()
    with pytest.raises(IndexError):
        sets[10]
    assert repr(part) == "<2 generated task-sets>"
    rows = list(sets.taskset()[0]["period"])
    assert rows == [each[0]["period"] for each in sets]
    assert list(sets.taskset()[0]["period"][2:5]) == rows[2:5]


@pytest.mark.parametrize("method", ["uunifast", "uunifast-discard", "randfixedsum"])
@pytest.mark.parametrize("priorities", [None, "rate-monotonic", "deadline-monotonic", "audsley"])
def test_generated_sets_are_valid(method, priorities):
    sets = generate(
        n_tasks=5,
        utilisation=0.8,
        n_sets=40,
        seed=2,
        method=method,
        deadlines="constrained",
        priorities=priorities,
        task=Task(idle.Idle, numberofjobs=3),
        load=0.9,
    )
    sets.taskset().validate()
    for each in sets:
        each.validate()  # what the rows skip because they are made from what was checked
        (variant,) = each.variants()
        assert linux_guest_refuses(variant.tasks) == []
        total = 0.0
        for task in variant.tasks:
            assert task["numberofjobs"] == 3
            exact = task["extra"]["utilisation"] * task["period"]
            assert task["executiontime"] == max(1, round(exact))
            burnt = task["config"]["arg1"]
            assert burnt == max(1, int(task["executiontime"] * 0.9))
            total += task["extra"]["utilisation"]
            deadline = task["deadline"] or task["extra"]["deadline_ms"]
            assert task["executiontime"] <= deadline <= task["period"]
            assert (task["priority"] is None) == (priorities is None)
            assert (task["deadline"] is None) == (priorities is not None)
        assert total == pytest.approx(0.8)


@pytest.mark.parametrize("name", ["rate-monotonic", "deadline-monotonic", "audsley"])
def test_priorities_of_generated_sets_are_those_of_the_functions(name):
    assign = {
        "rate-monotonic": rate_monotonic,
        "deadline-monotonic": deadline_monotonic,
        "audsley": audsley,
    }[name]
    sets = generate(
        n_tasks=6, utilisation=0.9, n_sets=50, seed=1, priorities=name, deadlines="constrained"
    )
    for each in sets:
        loads = [
            Load(task["executiontime"], task["period"], task["extra.deadline_ms"]) for task in each
        ]
        assert [task["priority"] for task in each] == assign(loads)


def test_keys_of_the_template_multiply_the_variants():
    sets = generate(
        n_tasks=2,
        utilisation=0.5,
        n_sets=3,
        seed=1,
        task=Task(hey.HelloWorld, quota=["1M", "2M"]),
        argument=None,
    )
    variants = sets.variants()
    assert len(variants) == 3 * 2 * 2
    assert "config" not in sets.taskset()[0]
    assert len(sets.variants(repeat=2)) == 24


def test_generating_a_billion_sets_costs_nothing():
    sets = generate(n_tasks=3, utilisation=0.5, n_sets=10**9, seed=1)
    sets.taskset().validate()
    assert sets.variants()[10**9 - 1].index == 10**9 - 1
    sample = sets.variants().sample(3, seed=1)
    assert all(task["period"] > 0 for variant in sample for task in variant.tasks)


def test_arbitrary_deadlines_are_what_our_guest_refuses():
    sets = generate(
        n_tasks=4, utilisation=0.5, n_sets=30, seed=1, deadlines="arbitrary", priorities=None
    )
    reasons = [reason for each in sets for reason in linux_guest_refuses(each.variants()[0].tasks)]
    assert any("over period" in reason for reason in reasons)


def test_what_our_guest_refuses():
    def task(**keys):
        return {"id": 1, "deadline": None, "period": 0, "executiontime": 0, **keys}

    assert linux_guest_refuses([task()]) == []
    assert linux_guest_refuses([task(deadline=10, executiontime=5)]) == []
    assert linux_guest_refuses([task(deadline=10)]) == [
        "task 1: a deadline without an executiontime"
    ]
    assert linux_guest_refuses([task(deadline=10, executiontime=11)]) == [
        "task 1: executiontime 11 ms over deadline 10 ms"
    ]
    assert linux_guest_refuses([task(deadline=10, executiontime=5, period=9)]) == [
        "task 1: deadline 10 ms over period 9 ms"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_tasks": 0}, "n_tasks = 0: must be a whole number from 1"),
        ({"n_sets": 1.5}, "n_sets = 1.5: must be"),
        ({"seed": -1}, "seed = -1: must be"),
        ({"utilisation": "much"}, "utilisation = 'much': must be a number"),
        ({"utilisation": 6}, "reach more than 0 and less than 5"),
        ({"load": 0}, "load = 0: must be above 0"),
        ({"priorities": "random"}, "priorities = 'random': must be one of rate-monotonic"),
        ({"n_tasks": 129}, "129 tasks: there are 128 priorities"),
        ({"method": "drs"}, "method = 'drs': must be one of uunifast, uunifast-discard"),
        ({"periods": {"name": "uniform", "lo_ms": 1}}, "periods.lo_ms = 1"),
        ({"periods": {"name": "uniform", "low_ms": "x"}}, "periods.low_ms = 'x'"),
        ({"periods": {"name": "uniform", "low_ms": 0}}, "0 ms: must be from 1"),
        ({"deadlines": {}}, "deadlines = None: must be one of implicit"),
        ({"argument": "perid"}, "perid: there is no such key"),
        ({"argument": "period"}, "argument = 'period': must be a part of config"),
        ({"argument": "config"}, "argument = 'config': must be a part of config"),
        ({"argument": "extra.utilisation"}, "must be a part of config"),
        ({"task": {"pkg": "x" * 20}}, "has 20 bytes"),
    ],
)
def test_what_cannot_be_generated(changes, message):
    arguments = {"n_tasks": 5, "utilisation": 0.5, "n_sets": 10, "seed": 1, **changes}
    with pytest.raises(TaskSetError) as caught:
        generate(**arguments).taskset()
    assert message in str(caught.value)


def test_numpy_is_imported_only_when_a_number_is_drawn():
    code = """
import sys
from taskgen.generate import generate
from taskgen.tasksets import example, hey
sets = generate(n_tasks=5, utilisation=0.5, n_sets=10, seed=1)
sets.taskset().validate()
assert "numpy" not in sys.modules
sets[0]
assert "numpy" in sys.modules
assert "scipy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_arrays_are_values():
    task = Task(pkg="a", period=np.arange(10, 40, 10), priority=np.int64(5))
    assert [type(value) for value in task["period"]] == [int, int, int]
    assert task["priority"] == 5
    task["config.arg1"] = np.linspace(0, 1, 3)
    assert list(task["config.arg1"]) == [0.0, 0.5, 1.0]
    for wrong in (np.ones((2, 2), dtype=int), np.array([1.5]), np.array([]), np.bool_(True)):
        with pytest.raises(TaskSetError, match="period = "):
            task["period"] = wrong


def test_a_generated_variant_is_found_among_very_many():
    variants = generate(n_tasks=2, utilisation=0.5, n_sets=10**9, seed=1).variants()
    assert variants.index_of(variants[10**8]) == 10**8


def test_numpy_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    sets = generate(n_tasks=5, utilisation=0.5, n_sets=10, seed=1)
    with pytest.raises(TaskSetError, match=r"needs numpy.*taskgen\[generators\]"):
        sets[0]

"""Random task-sets: what they are distributed like, and what they depend on.

The statistical tests draw with fixed seeds, so they pass or fail for good; limits are set for a
false alarm in about 10**5 choices of the seed.
"""

from __future__ import annotations

import itertools
import random
import subprocess
import sys

import pytest

from taskgen.admission import linux_guest_refuses
from taskgen.blocks import hey, idle
from taskgen.errors import TaskSetError
from taskgen.generate import generate
from taskgen.generators.deadlines import Arbitrary, Constrained, Implicit
from taskgen.generators.periods import Automotive, Harmonic, Listed, LogUniform, Uniform
from taskgen.generators.priorities import (
    audsley,
    deadline_monotonic,
    rate_monotonic,
)
from taskgen.generators.response_time import Load, meets_deadline
from taskgen.generators.uniforms import uniforms
from taskgen.generators.utilisations import (
    ConvolutionalFixedSum,
    RandFixedSum,
    UUniFast,
    UUniFastDiscard,
)
from taskgen.task import Task

np = pytest.importorskip("numpy")
stats = pytest.importorskip("scipy.stats")

#: A p-value below this fails a test.
ALARM = 1e-5
SETS = 4000


def same(sample, cdf):
    return stats.kstest(sample, cdf).pvalue > ALARM


def alike(one, two):
    return stats.ks_2samp(one, two).pvalue > ALARM


# The numbers


def test_numbers_of_a_set_do_not_depend_on_those_drawn_with_it():
    for width in (1, 3, 4, 9):
        together = uniforms(7, "x", 0, 50, width)
        assert together.shape == (50, width)
        for number in (0, 1, 17, 49):
            assert (uniforms(7, "x", number, number + 1, width) == together[number]).all()


def test_numbers_are_the_same_for_good():
    assert uniforms(1, "x", 10**12, 10**12 + 1, 2).tolist() == [
        [0.17150098455588336, 0.3624706824682279]
    ]


def test_numbers_depend_on_the_seed_and_on_the_purpose():
    one = uniforms(1, "x", 0, 1, 4)
    assert (one != uniforms(2, "x", 0, 1, 4)).all()
    assert (one != uniforms(1, "y", 0, 1, 4)).all()


def test_numbers_are_uniform_and_independent_of_their_neighbours():
    drawn = uniforms(3, "x", 0, SETS, 3)
    for column in drawn.T:
        assert same(column, "uniform")
    assert stats.pearsonr(drawn[:-1, 0], drawn[1:, 0]).pvalue > ALARM
    assert stats.pearsonr(drawn[:, 0], drawn[:, 1]).pvalue > ALARM
    assert 0 <= drawn.min() <= drawn.max() < 1


# Utilisations

METHODS = [
    (UUniFast(), 1.5),
    (UUniFastDiscard(), 1.5),
    (UUniFastDiscard(highest=0.5), 1.2),
    (RandFixedSum(), 1.5),
    (RandFixedSum(), 3.7),
    (RandFixedSum(lowest=0.1, highest=0.6), 1.5),
]


@pytest.mark.parametrize(("method", "total"), METHODS)
def test_utilisations_have_their_sum_and_bounds(method, total):
    rows = method.draw(1, 0, SETS, 5, total)
    assert rows.shape == (SETS, 5)
    assert np.allclose(rows.sum(axis=1), total, rtol=1e-9)
    lowest = getattr(method, "lowest", 0.0)
    highest = getattr(method, "highest", total)
    assert rows.min() >= lowest - 1e-12
    assert rows.max() <= highest + 1e-12


@pytest.mark.parametrize(("method", "total"), METHODS)
def test_a_set_depends_on_seed_and_number_alone(method, total):
    together = method.draw(1, 0, 300, 5, total)
    for number in (0, 5, 299):
        alone = method.draw(1, number, number + 1, 5, total)[0]
        assert alone.tolist() == together[number].tolist()
    assert method.draw(2, 0, 300, 5, total).tolist() != together.tolist()


@pytest.mark.parametrize(("method", "total"), METHODS)
def test_no_task_is_favoured(method, total):
    rows = method.draw(1, 0, SETS, 5, total)
    for task in range(1, 5):
        assert alike(rows[:, 0], rows[:, task])


def test_uunifast_has_the_marginal_of_a_uniform_simplex():
    # A coordinate of a uniform point of the simplex is Beta(1, n - 1), times the total.
    rows = UUniFast().draw(1, 0, SETS, 5, 2.0)
    assert same(rows[:, 2] / 2.0, stats.beta(1, 4).cdf)


def test_methods_that_promise_the_same_agree():
    discard = UUniFastDiscard().draw(1, 0, SETS, 4, 1.6)
    fixed = RandFixedSum().draw(1, 0, SETS, 4, 1.6)
    assert alike(discard[:, 0], fixed[:, 0])
    assert alike(discard.max(axis=1), fixed.max(axis=1))
    assert alike((discard**2).sum(axis=1), (fixed**2).sum(axis=1))


def test_randfixedsum_agrees_with_rejection_between_bounds():
    points = np.random.default_rng(5).dirichlet([1] * 4, size=400_000) * (1.5 - 4 * 0.1) + 0.1
    accepted = points[(points <= 0.6).all(axis=1)][:SETS]
    fixed = RandFixedSum(lowest=0.1, highest=0.6).draw(1, 0, SETS, 4, 1.5)
    assert len(accepted) == SETS
    assert alike(accepted[:, 0], fixed[:, 0])
    assert alike(accepted.max(axis=1), fixed.max(axis=1))


@pytest.mark.parametrize("n", [2, 3, 50, 200])
@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_randfixedsum_at_its_edges(n, share):
    rows = RandFixedSum().draw(1, 0, 100, n, n * share)
    assert np.allclose(rows.sum(axis=1), n * share)
    assert 0 <= rows.min() <= rows.max() <= 1
    assert np.isfinite(rows).all()


def test_convolutionalfixedsum_keeps_individual_bounds_and_pythons_generator():
    pytest.importorskip("convolutionalfixedsum")
    method = ConvolutionalFixedSum(lowest=(0.0, 0.1, 0.3), highest=(0.2, 0.5, 0.9))
    before = random.getstate()
    rows = method.draw(1, 0, 400, 3, 1.0)
    assert random.getstate() == before
    assert np.allclose(rows.sum(axis=1), 1.0)
    assert (rows >= np.array(method.lowest)).all()
    assert (rows <= np.array(method.highest)).all()
    assert method.draw(1, 17, 18, 3, 1.0).tolist() == rows[17:18].tolist()
    # Against rejection: uniform in the plane, as two free coordinates are.
    square = np.random.default_rng(5).uniform([0.0, 0.1], [0.2, 0.5], size=(20_000, 2))
    third = 1.0 - square.sum(axis=1)
    accepted = third[(third >= 0.3) & (third <= 0.9)]
    assert alike(rows[:, 2], accepted)


def test_one_task_has_everything():
    for method in (UUniFast(), UUniFastDiscard(), RandFixedSum()):
        assert method.draw(1, 0, 3, 1, 0.5).tolist() == [[0.5]] * 3


@pytest.mark.parametrize(
    ("method", "n_tasks", "total", "message"),
    [
        (UUniFast(), 5, 0.0, "utilisation = 0.0: must be above 0"),
        (UUniFast(), 5, float("nan"), "must be above 0"),
        (UUniFastDiscard(), 2, 2.5, "reach more than 0 and less than 2"),
        (RandFixedSum(lowest=0.5), 3, 1.0, "reach more than 1.5 and less than 3"),
        (RandFixedSum(lowest=0.5, highest=0.4), 3, 1.0, "there is nothing in between"),
        (ConvolutionalFixedSum((0.0,), (1.0,)), 2, 1.0, "1 lower and 1 upper bounds for 2 tasks"),
    ],
)
def test_utilisations_that_do_not_exist(method, n_tasks, total, message):
    with pytest.raises(TaskSetError) as caught:
        method.check(n_tasks, total)
    assert message in str(caught.value)


def test_discarding_gives_up(monkeypatch):
    monkeypatch.setattr("taskgen.generators.utilisations.MAX_ATTEMPTS", 3)
    with pytest.raises(TaskSetError, match=r"in 3 attempts \(use the method randfixedsum\)"):
        UUniFastDiscard().draw(1, 0, 10, 20, 19.0)


# Periods and deadlines


def drawn(distribution):
    return distribution.draw(uniforms(1, "p", 0, SETS, 1)[:, 0])


def frequencies_fit(sample, expected):
    """Chi-squared against expected shares by value."""
    values, counts = np.unique(sample, return_counts=True)
    assert set(values.tolist()) <= set(expected)
    observed = dict(zip(values.tolist(), counts.tolist(), strict=True))
    shares = np.array(list(expected.values()), dtype=float)
    found = [observed.get(value, 0) for value in expected]
    return stats.chisquare(found, shares / shares.sum() * len(sample)).pvalue > ALARM


def test_uniform_periods():
    assert frequencies_fit(drawn(Uniform(10, 100, 10)), dict.fromkeys(range(10, 101, 10), 1))
    assert set(drawn(Uniform(7, 7, 7)).tolist()) == {7}


def test_log_uniform_periods():
    sample = drawn(LogUniform(10, 1000, 10))
    assert set(sample.tolist()) <= set(range(10, 1001, 10))
    expected = {t: np.log((t + 10) / t) for t in range(10, 1001, 10)}
    cuts = [10, 20, 30, 50, 100, 200, 500, 1010]
    bins = {
        low: sum(share for t, share in expected.items() if low <= t < high)
        for low, high in itertools.pairwise(cuts)
    }
    grouped = np.array(cuts)[np.searchsorted(cuts, sample, side="right") - 1]
    assert frequencies_fit(grouped, bins)


def test_the_ends_of_periods_are_not_overstepped():
    ends = np.array([0.0, 1 - 2**-53])
    for distribution in (Uniform(10, 1000, 10), LogUniform(10, 1000, 10)):
        assert distribution.draw(ends).tolist() == [10, 1000]
    assert Listed((5, 6), (1.0, 0.0)).draw(ends).tolist() == [5, 5]


def test_listed_periods():
    assert frequencies_fit(drawn(Listed((5, 7, 11))), {5: 1, 7: 1, 11: 1})
    assert frequencies_fit(drawn(Listed((5, 7), (1.0, 3.0))), {5: 1, 7: 3})


def test_harmonic_periods_divide_each_other():
    values = sorted(set(drawn(Harmonic(10, 3, 4)).tolist()))
    assert values == [10, 30, 90, 270]


def test_automotive_periods():
    assert frequencies_fit(drawn(Automotive()), Automotive.SHARES)
    assert sum(Automotive.SHARES.values()) == 85


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Uniform(0, 10), "0 ms: must be from 1"),
        (lambda: Uniform(20, 10), "20 to 10 ms in steps of 1"),
        (lambda: LogUniform(15, 100, 10), "both ends must be multiples"),
        (lambda: Uniform(1, 5_000_000), "must be from 1 to 4294967"),
        (lambda: Uniform(1.5, 10), "1.5 is not a whole number"),
        (lambda: Listed(()), "the list is empty"),
        (lambda: Listed((1, 2), (1.0,)), "1 weights for 2 values"),
        (lambda: Listed((1, 2), (0.0, 0.0)), "nor all of them 0"),
        (lambda: Listed((1, 2), (-1.0, 2.0)), "must not be negative"),
        (lambda: Harmonic(ratio=1), "a ratio of 2 or more"),
        (lambda: Harmonic(levels=30), "must be from 1 to"),
        (lambda: Constrained(1.5), "must be from 0 to 1"),
        (lambda: Arbitrary(0.5), "must be from 1 to 100"),
    ],
)
def test_distributions_that_make_no_sense(make, message):
    with pytest.raises(TaskSetError) as caught:
        make()
    assert message in str(caught.value)


def test_deadlines_lie_where_they_say_and_are_uniform_there():
    numbers = uniforms(1, "d", 0, SETS, 1)[:, 0]
    execution, period = np.full(SETS, 20), np.full(SETS, 29)
    assert (Implicit().draw(numbers, execution, period) == 29).all()
    constrained = Constrained().draw(numbers, execution, period)
    assert frequencies_fit(constrained, dict.fromkeys(range(20, 30), 1))
    late = Constrained(from_share=1.0).draw(numbers, execution, period)
    assert set(late.tolist()) == {29}
    arbitrary = Arbitrary(factor=1.5).draw(numbers, execution, period)
    assert frequencies_fit(arbitrary, dict.fromkeys(range(20, 44), 1))
    beyond = Constrained().draw(numbers, np.full(SETS, 40), period)
    assert set(beyond.tolist()) == {40}


# Priorities


def simulated(tasks, priorities, until):
    """Whether all deadlines are met in a simulation, one unit of time after the other."""
    pending = []
    for now in range(until):
        for task, priority in zip(tasks, priorities, strict=True):
            if now % task.period == 0:
                pending.append([priority, now, now + task.deadline, task.execution])
        pending.sort()
        if any(deadline <= now and left for _, _, deadline, left in pending):
            return False
        if pending:
            pending[0][3] -= 1
            if pending[0][3] == 0:
                del pending[0]
    return not any(deadline <= until for _, _, deadline, _ in pending)


def small_sets(arbitrary, count=300):
    rng = random.Random(4)
    for _ in range(count):
        tasks = []
        for _ in range(rng.randint(1, 3)):
            period = rng.choice([2, 3, 4, 6, 8, 12])
            execution = rng.randint(1, max(1, period // 2))
            deadline = rng.randint(execution, period * (2 if arbitrary else 1))
            tasks.append(Load(execution, period, deadline))
        yield tasks


def feasible(tasks, priorities):
    """Whether all deadlines are met on one processor with these priorities, all different."""
    return all(
        meets_deadline(
            task,
            [other for other, urgency in zip(tasks, priorities, strict=True) if urgency < priority],
        )
        for task, priority in zip(tasks, priorities, strict=True)
    )


@pytest.mark.parametrize("arbitrary", [False, True])
def test_the_analysis_agrees_with_a_simulation(arbitrary):
    verdicts = []
    for tasks in small_sets(arbitrary):
        priorities = list(range(len(tasks)))
        verdict = feasible(tasks, priorities)
        # The periods divide 24; four hyperperiods show every backlog that grows.
        assert verdict == simulated(tasks, priorities, 96), tasks
        verdicts.append(verdict)
    assert 50 < sum(verdicts) < 250


@pytest.mark.parametrize("arbitrary", [False, True])
def test_audsley_finds_an_assignment_wherever_there_is_one(arbitrary):
    found = 0
    for tasks in small_sets(arbitrary):
        exists = any(feasible(tasks, order) for order in itertools.permutations(range(len(tasks))))
        priorities = audsley(tasks)
        assert sorted(priorities) == list(range(len(tasks)))
        assert feasible(tasks, priorities) == exists, tasks
        found += exists
    assert found > 50


def test_deadline_monotonic_is_optimal_up_to_the_period():
    for tasks in small_sets(arbitrary=False):
        assert feasible(tasks, deadline_monotonic(tasks)) == feasible(tasks, audsley(tasks))


def test_ranks_are_stable():
    tasks = [Load(1, 20, 5), Load(1, 10, 9), Load(1, 20, 4)]
    assert rate_monotonic(tasks) == [1, 0, 2]
    assert deadline_monotonic(tasks) == [1, 2, 0]


def test_a_response_time_by_hand():
    # The example of Liu and Layland's bound exceeded: 3/7 + 3/12 + 5/20, all deadlines met.
    high, middle, low = Load(3, 7, 7), Load(3, 12, 12), Load(5, 20, 20)
    assert meets_deadline(low, [high, middle])
    assert not meets_deadline(Load(5, 20, 19), [high, middle])


# All of it together


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

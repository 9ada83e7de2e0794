"""Random task-sets: what they are distributed like, and what they depend on.

The statistical tests draw with fixed seeds, so they pass or fail for good; limits are set for a
false alarm in about 10**5 choices of the seed.
"""

from __future__ import annotations

import itertools
import random

import pytest

from taskgen.errors import TaskSetError
from taskgen.generators.deadlines import Arbitrary, Constrained, Implicit
from taskgen.generators.periods import Automotive, Harmonic, Listed, LogUniform, Uniform
from taskgen.generators.uniforms import uniforms
from taskgen.generators.utilisations import (
    ConvolutionalFixedSum,
    RandFixedSum,
    UUniFast,
    UUniFastDiscard,
)

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

"""The laws of the lazy sequence of variants."""

from __future__ import annotations

import itertools
import json
import pickle
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskgen.coupling import Coupled
from taskgen.errors import TaskSetError
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.values import Choice
from taskgen.variant import thawed

# No time limit for an example: other work on the same machine would break it.
LAWS = settings(deadline=None, max_examples=50)

NAMES = ("config.a", "config.b", "period", "offset", "priority")


def one_task(**keys):
    return TaskSet([Task(keys, pkg="hey")])


def parameters(variants):
    return [dict(variant.parameters) for variant in variants]


# Each column of values becomes a key; the keys are dealt out to two tasks.
columns = st.lists(st.lists(st.integers(0, 100), min_size=1, max_size=3), max_size=5)


def spread(cols):
    """A task-set with these columns, and the names of their parameters in order."""
    tasks = [Task(pkg="hey"), Task(pkg="pi")]
    names = []
    for number, values in enumerate(cols):
        task, path = number % 2, NAMES[number]
        tasks[task][path] = values
        names.append(f"{task + 1}.{path}")
    names.sort(key=lambda name: name[0])  # stable: by task, within it as in the table of keys
    by_name = {f"{n % 2 + 1}.{NAMES[n]}": values for n, values in enumerate(cols)}
    return TaskSet(tasks), {name: by_name[name] for name in names}


@LAWS
@given(columns)
def test_the_variants_are_the_product_last_key_fastest(cols):
    taskset, by_name = spread(cols)
    expected = [
        dict(zip(by_name, values, strict=True)) for values in itertools.product(*by_name.values())
    ]
    variants = taskset.variants()
    assert len(variants) == variants.count == len(expected)
    assert parameters(variants) == expected
    assert parameters(variants[i] for i in range(len(expected))) == expected
    assert [variant.index for variant in variants] == list(range(len(expected)))


@LAWS
@given(columns, st.slices(20), st.slices(10))
def test_slices_are_those_of_a_list(cols, one, two):
    variants = spread(cols)[0].variants()
    everything = list(variants)
    assert list(variants[one]) == everything[one]
    assert list(variants[one][two]) == everything[one][two]
    assert len(variants[one][two]) == variants[one][two].count == len(everything[one][two])
    assert list(reversed(variants[one])) == everything[one][::-1]


@LAWS
@given(columns, st.integers(-300, 300))
def test_positions_are_those_of_a_list(cols, position):
    variants = spread(cols)[0].variants()
    everything = list(variants)
    if -len(everything) <= position < len(everything):
        assert variants[position] == everything[position]
    else:
        with pytest.raises(IndexError, match=f"there are {len(everything)}"):
            variants[position]


@LAWS
@given(columns, st.slices(50))
def test_index_of_is_the_inverse_of_position(cols, cut):
    variants = spread(cols)[0].variants()[cut]
    for position, variant in enumerate(variants):
        assert variants.index_of(variant) == position
        assert variant in variants


@LAWS
@given(columns, st.integers(1, 7))
def test_shards_are_disjoint_and_complete(cols, n):
    variants = spread(cols)[0].variants()
    shards = [variants.shard(k, n) for k in range(n)]
    assert sorted(v.index for shard in shards for v in shard) == list(range(variants.count))


@LAWS
@given(columns, st.data(), st.integers())
def test_a_sample_repeats_none_and_is_fixed_by_its_seed(cols, data, seed):
    variants = spread(cols)[0].variants()
    n = data.draw(st.integers(0, variants.count))
    sample = variants.sample(n, seed)
    assert len({variant.index for variant in sample}) == len(sample) == n
    assert list(sample) == list(variants.sample(n, seed))
    assert all(variants[variant.index] == variant for variant in sample)


@LAWS
@given(columns, st.integers(1, 4))
def test_repetitions_follow_each_other(cols, repeat):
    taskset = spread(cols)[0]
    variants = taskset.variants(repeat=repeat)
    once = parameters(taskset.variants())
    assert parameters(variants) == [each for each in once for _ in range(repeat)]
    assert [v.repetition for v in variants] == list(range(repeat)) * len(once)
    assert [variants.index_of(v) for v in variants] == list(range(variants.count))


@LAWS
@given(columns, st.integers(0, 300))
def test_walking_from_a_position_is_a_slice(cols, start):
    variants = spread(cols)[0].variants()
    assert list(variants.walk(start)) == list(variants[start:])


def test_a_sample_is_the_same_for_good():
    variants = one_task(period=range(10**6)).variants()
    assert [v.index for v in variants.sample(4, seed=1)] == [55818, 231613, 189393, 253527]


def test_samples_are_spread_evenly():
    counts = dict.fromkeys(itertools.permutations(range(3), 2), 0)
    variants = one_task(period=[0, 1, 2]).variants()
    for seed in range(3000):
        counts[tuple(v.index for v in variants.sample(2, seed))] += 1
    # Binomial(3000, 1/6): mean 500, standard deviation 20.4; four of them on either side.
    assert all(abs(count - 500) < 82 for count in counts.values()), counts


def test_more_variants_than_len_can_tell():
    taskset = TaskSet([Task(pkg="hey", period=range(1000), offset=range(1000)) for _ in range(8)])
    variants = taskset.variants()
    assert variants.count == 10**48
    with pytest.raises(OverflowError):
        len(variants)
    assert variants
    middle = variants[10**40 : 10**45 : 7]
    assert middle.count == -((10**40 - 10**45) // 7)
    assert variants[-1].index == 10**48 - 1
    assert variants[-1].tasks[0]["period"] == 999
    assert variants.index_of(variants[10**47 + 12345]) == 10**47 + 12345
    assert len({v.index for v in variants.sample(50, seed=3)}) == 50
    assert variants.shard(1, 3).count == 10**48 // 3


def test_a_long_axis_is_not_copied():
    taskset = one_task(**{"config.arg1": range(10**12), "period": [1, 2]})
    started = time.perf_counter()
    assert parameters(itertools.islice(taskset.variants(), 3)) == [
        {"1.config.arg1": 0, "1.period": 1},
        {"1.config.arg1": 0, "1.period": 2},
        {"1.config.arg1": 1, "1.period": 1},
    ]
    assert taskset.variants()[2 * 10**12 - 1].parameters["1.config.arg1"] == 10**12 - 1
    assert time.perf_counter() - started < 1


def test_a_long_axis_inside_others():
    long = range(2**16 + 1)
    taskset = one_task(**{"config.arg1": [7, 8], "period": long, "offset": [1, 2]})
    walked = itertools.islice(taskset.variants(), 2 * len(long) - 1, 2 * len(long) + 2)
    assert [tuple(v.parameters.values()) for v in walked] == [(7, 65536, 2), (8, 0, 1), (8, 0, 2)]


def test_coupled_keys_vary_together_where_the_first_of_them_stands():
    task = Task(Coupled(offset=[1, 2], priority=[3, 4]), pkg="hey", period=[5, 6], deadline=[7, 8])
    found = [tuple(v.parameters.values()) for v in TaskSet([task]).variants()]
    assert list(TaskSet([task]).variants()[0].parameters) == [
        "1.period",
        "1.offset",
        "1.priority",
        "1.deadline",
    ]
    expected = [
        (period, *pair, deadline)
        for period in (5, 6)
        for pair in ((1, 3), (2, 4))
        for deadline in (7, 8)
    ]
    assert found == expected


def test_a_key_set_later_leaves_its_coupling():
    task = Task(Coupled(period=[1, 2], offset=[3, 4], deadline=[5, 6]), pkg="hey")
    task["offset"] = 9
    variants = TaskSet([task]).variants()
    assert [tuple(v.parameters.values()) for v in variants] == [(1, 5), (2, 6)]
    task["deadline"] = [7, 8]
    assert len(TaskSet([task]).variants()) == 4


def test_long_couplings_are_not_copied():
    task = Task(Coupled(period=range(10**6), offset=range(10**6, 0, -1)), pkg="hey")
    variants = TaskSet([task]).variants()
    assert dict(variants[999_999].parameters) == {"1.period": 999_999, "1.offset": 1}
    assert variants.index_of(variants[123_456]) == 123_456


def test_keys_of_tasks_vary_together():
    taskset = TaskSet([Task(pkg="a", priority=[1, 2]), Task(pkg="b")])
    taskset.couple({"2.period": [10, 20], "1.period": [30, 40]})
    found = [tuple(v.parameters.items()) for v in taskset.variants()]
    assert found[0] == (("1.period", 30), ("2.period", 10), ("1.priority", 1))
    assert [tuple(value for _, value in each) for each in found] == [
        (30, 10, 1),
        (30, 10, 2),
        (40, 20, 1),
        (40, 20, 2),
    ]


def test_one_value_in_a_list_is_a_parameter_one_value_alone_is_none():
    assert one_task(period=[5]).variants()[0].parameters == {"1.period": 5}
    assert one_task(period=5).variants()[0].parameters == {}


def test_values_that_occur_twice_make_variants_twice():
    variants = one_task(period=[5, 5]).variants()
    assert [variants.index_of(v) for v in variants] == [0, 1]


def test_a_foreign_variant_is_found_by_its_values():
    variants = one_task(period=[1, 2, 3]).variants()
    foreign = one_task(period=[3, 1]).variants()
    assert variants.index_of(foreign[0]) == 2
    for stranger in (
        one_task(period=[9]).variants()[0],
        one_task(offset=[1]).variants()[0],
        one_task(period=[1], offset=[3]).variants()[0],
        TaskSet([Task(pkg="pi", period=[1])]).variants()[0],
    ):
        assert stranger not in variants
        with pytest.raises(ValueError, match="is not among these variants"):
            variants.index_of(stranger)
    assert "hey" not in variants
    assert variants[0] not in variants[1:]


def test_a_variant_has_every_key_with_defaults_and_cannot_be_changed():
    variant = one_task(**{"config.b.c": [1], "config.a": 2, "extra.note": "x"}).variants()[0]
    (task,) = variant.tasks
    assert dict(task) == {
        "id": 1,
        "pkg": "hey",
        "quota": "1M",
        "caps": None,
        "config": {"b": {"c": 1}, "a": 2},
        "executiontime": 0,
        "criticaltime": 0,
        "period": 0,
        "offset": 0,
        "numberofjobs": 1,
        "priority": None,
        "deadline": None,
        "cores": None,
        "coreoffset": None,
        "extra": {"note": "x"},
    }
    assert list(task["config"]) == ["b", "a"]
    for name in ("index", "tasks", "parameters", "other"):
        with pytest.raises(AttributeError):
            setattr(variant, name, 1)
    for mapping in (task, task["config"], task["config"]["b"], variant.parameters):
        with pytest.raises(TypeError):
            mapping["x"] = 1


def test_a_pickled_variant_is_whole_without_its_task_set():
    variants = one_task(period=[1, 2], priority=(n for n in [3])).variants(repeat=2)
    last = list(variants)[-1]
    restored = pickle.loads(pickle.dumps(last))
    assert restored == last
    assert hash(restored) == hash(last)
    assert (restored.index, restored.repetition) == (3, 1)
    assert restored.parameters == last.parameters
    assert restored.description() == last.description()


def test_variants_are_equal_by_index_and_tasks():
    one, two = one_task(period=[1, 2]).variants()
    assert one != two
    assert one != one_task(period=[2, 1]).variants()[0]
    assert one == one_task(period=[1]).variants()[0]
    assert one != 0
    assert repr(one) == "<Variant 0: 1.period=1>"


def test_nothing_is_empty():
    variants = one_task(period=[1, 2]).variants()
    assert not variants[2:]
    assert list(variants[2:]) == []
    assert variants[:1] != variants
    assert variants == one_task(period=[1, 2]).variants()


@pytest.mark.parametrize(("k", "n"), [(-1, 2), (2, 2), (0, 0)])
def test_shards_that_do_not_exist(k, n):
    with pytest.raises(TaskSetError, match=f"part {k} of {n}"):
        one_task(period=[1, 2]).variants().shard(k, n)
    with pytest.raises(TaskSetError, match=f"part {k} of {n}"):
        one_task(period=[1, 2]).variants(where=bool).shard(k, n)


@pytest.mark.parametrize("n", [-1, 3])
def test_samples_that_do_not_exist(n):
    with pytest.raises(TaskSetError, match="there are 2 variants"):
        one_task(period=[1, 2]).variants().sample(n, seed=0)


@pytest.mark.parametrize("repeat", [0, -1, True, 1.0])
def test_repeats_that_make_no_sense(repeat):
    with pytest.raises(TaskSetError, match="repeat"):
        one_task(period=[1, 2]).variants(repeat=repeat)


# One after the other


def test_an_iterable_without_length_makes_a_stream_and_varies_slowest():
    variants = one_task(period=itertools.count(1), config={"a": [7, 8]}).variants()
    assert not variants.indexable
    assert variants.count is None
    with pytest.raises(TypeError):
        len(variants)
    found = [(v.index, *v.parameters.values()) for v in itertools.islice(variants, 4)]
    assert found == [(0, 1, 7), (1, 1, 8), (2, 2, 7), (3, 2, 8)]


def test_an_iterator_can_be_walked_once():
    variants = one_task(period=(n for n in [1, 2])).variants()
    assert len(list(variants)) == 2
    with pytest.raises(TaskSetError, match="period: its iterator was walked before"):
        list(variants)


class Again:
    """Iterable as often as one likes, of a length that nobody knows."""

    def __init__(self, *values):
        self.values = values

    def __iter__(self):
        return iter(self.values)


@LAWS
@given(columns, st.integers(1, 3), st.integers(0, 40))
def test_a_stream_resumes_by_index(cols, repeat, start):
    taskset = spread(cols)[0]
    taskset[0]["executiontime"] = Again(3, 4)
    variants = taskset.variants(repeat=repeat)
    everything = list(variants)
    assert [v.index for v in everything] == list(range(len(everything)))
    assert list(variants.walk(start)) == everything[start:]
    assert list(variants.skip(start)) == everything[start:]
    assert list(variants.skip(start).skip(1)) == everything[start + 1 :]


def test_several_streams():
    taskset = one_task(period=Again(1, 2), offset=Again(3, 4, 5), priority=[6, 7])
    variants = taskset.variants()
    everything = [tuple(v.parameters.values()) for v in variants]
    assert everything == list(itertools.product((1, 2), (3, 4, 5), (6, 7)))
    assert [tuple(v.parameters.values()) for v in variants.walk(7)] == everything[7:]


def test_only_some():
    taskset = one_task(period=range(10), offset=range(10))
    picked = taskset.variants(where=lambda v: v.tasks[0]["period"] > v.tasks[0]["offset"])
    assert not picked.indexable
    everything = list(picked)
    assert len(everything) == 45
    assert all(v == taskset.variants()[v.index] for v in everything)
    assert list(picked) == everything
    cut = everything[20].index
    assert list(picked.walk(cut)) == everything[20:]
    assert list(picked.walk(cut + 1)) == everything[21:]
    assert list(picked.skip(20)) == everything[20:]


def test_resuming_evaluates_only_what_is_left():
    seen = []
    taskset = one_task(period=range(1000))
    picked = taskset.variants(where=lambda v: seen.append(v.index) or True)
    assert len(list(picked.walk(990))) == 10
    assert seen == list(range(990, 1000))


def test_only_some_repeated():
    picked = one_task(period=[1, 2, 3]).variants(where=lambda v: v.index != 2, repeat=2)
    assert [v.index for v in picked] == [0, 1, 4, 5]
    assert [v.index for v in picked.walk(1)] == [1, 4, 5]
    assert [v.index for v in picked.walk(5)] == [5]


def test_a_stream_in_parts():
    taskset = one_task(period=Again(*range(10)), offset=[0, 1])
    parts = [taskset.variants().shard(k, 3) for k in range(3)]
    assert [v.index for v in parts[1]] == [1, 4, 7, 10, 13, 16, 19]
    assert sorted(v.index for part in parts for v in part) == list(range(20))
    with pytest.raises(TaskSetError, match="only a whole stream"):
        parts[0].shard(0, 2)
    with pytest.raises(TaskSetError, match="only a whole stream"):
        taskset.variants().skip(1).shard(0, 2)


def test_a_bad_value_of_a_stream_is_found_when_it_is_drawn():
    walk = iter(one_task(period=Again(1, -1)).variants())
    next(walk)
    with pytest.raises(TaskSetError, match="period = -1"):
        next(walk)


@LAWS
@given(st.integers(0, 10**12 - 1))
def test_any_index_is_built_at_once(index):
    variants = TaskSet(
        [Task(pkg="hey", period=range(1000), offset=range(1000)) for _ in range(2)]
    ).variants()
    variant = variants[index]
    digits = [index // 10**9, index // 10**6 % 1000, index // 1000 % 1000, index % 1000]
    assert list(variant.parameters.values()) == digits


def test_a_choice_in_extra_varies():
    variants = one_task(extra={"label": Choice("a", "b"), "list": [1, 2]}).variants()
    assert parameters(variants) == [{"1.extra.label": "a"}, {"1.extra.label": "b"}]
    assert variants[1].tasks[0]["extra"] == {"label": "b", "list": (1, 2)}


def test_iterating_holds_nothing():
    variants = iter(one_task(period=range(1000), offset=range(1000)).variants())
    next(variants)
    before = sys.getallocatedblocks()
    for variant in itertools.islice(variants, 100_000):
        last = variant
    assert last.index == 100_000
    assert sys.getallocatedblocks() - before < 1000


def test_a_variant_in_plain_data():
    variant = one_task(period=[5, 6], extra={"list": [1]}).variants()[1]
    plain = json.loads(json.dumps(thawed(variant)))
    assert plain["index"] == 1
    assert plain["parameters"] == {"1.period": 6}
    assert plain["tasks"][0]["extra"] == {"list": [1]}
    assert plain == thawed(variant)


def test_how_sequences_look():
    assert repr(one_task(period=range(10)).variants()[::3]) == "<4 variants>"
    assert repr(one_task(period=[1]).variants(where=bool)) == "<variants, one after the other>"
    assert one_task(period=[1]).variants() != [1]

"""Task-sets: ids, copies, sums, what makes them invalid."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from taskgen.coupling import Coupled
from taskgen.errors import TaskSetError
from taskgen.task import Task
from taskgen.taskset import BlockTaskSet, TaskSet
from taskgen.values import Choice


def ids(taskset):
    return [task.id for task in taskset]


def test_ids_are_assigned_from_1():
    assert ids(TaskSet([Task(pkg="a"), {"pkg": "b"}])) == [1, 2]


def test_given_ids_stay_and_others_go_past_them():
    assert ids(TaskSet([Task(pkg="a", id=7), Task(pkg="b"), Task(pkg="c", id=0)])) == [7, 8, 0]


def test_an_id_that_is_used_twice():
    with pytest.raises(TaskSetError, match="task id 3 is used twice"):
        TaskSet([Task(pkg="a", id=3), Task(pkg="b", id=3)])


def test_an_id_that_is_used_twice_by_a_later_change():
    taskset = TaskSet([Task(pkg="a"), Task(pkg="b")])
    taskset[0]["id"] = 2
    with pytest.raises(TaskSetError, match="id 2 is used twice"):
        taskset.validate()


def test_the_same_task_can_be_put_in_twice():
    task = Task(pkg="a", period=[1, 2])
    taskset = TaskSet([task, task])
    task["period"] = 5
    taskset[0]["period"] = 9
    assert [each["period"] for each in taskset] == [9, Choice(1, 2)]
    assert task.id is None


def test_no_default_is_shared():
    TaskSet().append(Task(pkg="a"))
    assert len(TaskSet()) == 0
    assert TaskSet().metadata is not TaskSet().metadata


def test_a_sum_assigns_ids_anew_but_keeps_given_ones():
    one = TaskSet([Task(pkg="a"), Task(pkg="b")])
    both = one + TaskSet([Task(pkg="c"), Task(pkg="d", id=9)])
    assert ids(both) == [1, 2, 3, 9]
    assert ids(one) == [1, 2]
    with pytest.raises(TaskSetError, match="used twice"):
        _ = both + TaskSet([Task(pkg="e", id=9)])
    with pytest.raises(TypeError):
        _ = one + "task"


def test_a_sum_keeps_couplings():
    two = TaskSet([Task(pkg="a"), Task(pkg="b")])
    two.couple({"1.period": [1, 2], "2.period": [3, 4]})
    both = TaskSet([Task(pkg="x")]) + two
    assert [dict(variant.parameters) for variant in both.variants()] == [
        {"2.period": 1, "3.period": 3},
        {"2.period": 2, "3.period": 4},
    ]


def test_how_it_looks():
    assert repr(TaskSet([Task(pkg="a")])) == "<TaskSet: 1 tasks>"


def test_a_task_that_lost_its_id():
    taskset = TaskSet([Task(pkg="a")])
    del taskset[0]["id"]
    with pytest.raises(TaskSetError, match="a task has no id"):
        taskset.validate()


def test_a_coupling_of_computed_values_is_read_once():
    values = Computed(range(1, 101))
    taskset = TaskSet([Task(pkg="a"), Task(pkg="b")])
    taskset.couple({"1.period": values, "2.period": range(100)})
    values.read = 0
    taskset.validate()
    assert values.read <= 101


def test_a_copy_is_independent():
    taskset = TaskSet([Task(pkg="a", period=1)])
    taskset.metadata["seed"] = 1
    other = taskset.copy()
    other[0]["period"] = 2
    other.append(Task(pkg="b"))
    other.metadata["seed"] = 2
    assert taskset[0]["period"] == 1
    assert len(taskset) == 1
    assert taskset.metadata == {"seed": 1}


def test_a_copy_keeps_its_class():
    class Odd(TaskSet):
        def variants(self, **keys):
            return super().variants(where=lambda variant: variant.index % 2, **keys)

    copied = Odd([Task(pkg="a", period=[1, 2, 3, 4])]).copy()
    assert [variant.index for variant in copied.variants()] == [1, 3]


def test_variants_do_not_see_later_changes():
    taskset = TaskSet([Task(pkg="a", period=[1, 2])])
    variants = taskset.variants()
    taskset[0]["period"] = [5]
    taskset.append(Task(pkg="b"))
    assert len(variants) == 2
    assert len(variants[0].tasks) == 1


@pytest.mark.parametrize(
    ("taskset", "message"),
    [
        (TaskSet(), "task-set TaskSet: has no tasks"),
        (TaskSet([Task(period=1)]), "task 1: has no pkg"),
    ],
)
def test_sets_that_cannot_run(taskset, message):
    for call in (taskset.validate, taskset.variants):
        with pytest.raises(TaskSetError, match=message):
            call()


def test_a_task_is_not_a_list_of_tasks():
    with pytest.raises(TaskSetError, match="made from a list of tasks"):
        TaskSet(Task(pkg="a"))


class Computed(Sequence):
    """A sequence that makes its values when they are read."""

    def __init__(self, values):
        self.values = values
        self.read = 0

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        self.read += 1
        return self.values[index]


def test_validating_reads_each_value_once_not_each_variant():
    values = Computed([1, 2, 3])
    other = Computed(range(1, 1001))
    taskset = TaskSet([Task(pkg="a", period=values, offset=other)])
    assert (values.read, other.read) == (0, 0)
    taskset.validate()
    assert values.read <= 4
    assert other.read <= 1001


@pytest.mark.parametrize("coupled", [False, True])
def test_validating_finds_a_bad_value_in_the_middle(coupled):
    periods = Computed([1, 2, -3, 4])
    block = Coupled(period=periods, deadline=[1, 2, 3, 4]) if coupled else {"period": periods}
    taskset = TaskSet([Task(block, pkg="a")])
    with pytest.raises(TaskSetError, match="period = -3"):
        taskset.validate()


def test_validating_tells_of_a_sequence_that_fails():
    class Broken(Computed):
        def __getitem__(self, index):
            raise OSError("no such file")

    with pytest.raises(TaskSetError, match=r"1\.period: its values cannot be read: no such file"):
        TaskSet([Task(pkg="a", period=Broken([1]))]).validate()


def test_binaries():
    taskset = TaskSet([Task(pkg=["a", "b"]), Task(pkg="c"), Task(pkg="a")])
    assert taskset.binaries() == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"3.period": [1]}, r"3\.period: no such task \(<task id>\.<key>, with ids 1, 2\)"),
        ({"period": [1]}, "period: no such task"),
        ({"1.perid": [1]}, r"1\.perid: there is no such key"),
        ({"1.period": [-1]}, r"1\.period = -1"),
        ({"1.period": [1], "2.period": [1, 2]}, r"2\.period has 2 values, 1\.period has 1"),
    ],
)
def test_couplings_of_tasks_that_cannot_be(columns, message):
    taskset = TaskSet([Task(pkg="a"), Task(pkg="b")])
    with pytest.raises(TaskSetError, match=message):
        taskset.couple(columns)
    assert list(taskset[0]) == ["id", "pkg"]


def test_lists_of_blocks_make_tasks():
    taskset = BlockTaskSet({"pkg": "a"}, [{"period": 1}, {"period": 2}], [{"priority": 1}] * 2)
    assert [(task["period"], task["priority"]) for task in taskset] == [
        (1, 1),
        (1, 1),
        (2, 1),
        (2, 1),
    ]
    assert ids(taskset) == [1, 2, 3, 4]


def test_tasks_made_from_one_coupled_block_vary_by_themselves():
    taskset = BlockTaskSet([{"pkg": "a"}, {"pkg": "b"}], Coupled(period=[1, 2], deadline=[1, 2]))
    assert len(taskset.variants()) == 4

"""Tasks: keys that are checked, blocks, values that are one or many."""

from __future__ import annotations

from collections import OrderedDict

import pytest

from taskgen.coupling import Coupled
from taskgen.errors import TaskSetError
from taskgen.keys import KEYS, KeyType, Sent
from taskgen.task import Task
from taskgen.values import Choice


def test_later_blocks_win_and_functions_are_called():
    task = Task({"pkg": "hey", "period": 1}, lambda: {"period": 2}, {"priority": 3}, period=4)
    assert task == {"pkg": "hey", "period": 4, "priority": 3}


def test_a_function_may_return_a_function():
    assert Task(lambda: lambda: {"period": 7})["period"] == 7


def test_keys_stand_in_the_order_of_the_table_whatever_the_order_they_came_in():
    task = Task(priority=1, period=2, pkg="hey", id=3)
    assert list(task) == ["id", "pkg", "period", "priority"]


def test_parts_are_reached_by_dots():
    task = Task(config={"arg1": 1, "deep": {"@unit": "ms", "arg": "x"}})
    task["config.arg2"] = 2
    assert task["config.deep.arg"] == "x"
    assert task["config"] == {"arg1": 1, "deep": {"@unit": "ms", "arg": "x"}, "arg2": 2}
    assert task["config.deep"] == {"@unit": "ms", "arg": "x"}


def test_a_whole_tree_replaces_the_old_one_a_part_does_not():
    task = Task(config={"arg1": 1, "arg2": 2})
    task["config.arg1"] = 10
    assert task["config"] == {"arg1": 10, "arg2": 2}
    assert list(task["config"]) == ["arg1", "arg2"]
    task["config"] = {"arg3": 3}
    assert task["config"] == {"arg3": 3}


def test_a_value_and_a_tree_do_not_stand_in_the_same_place():
    task = Task({"config.a": 1, "config.a.b": 2})
    assert task["config"] == {"a": {"b": 2}}
    task["config.a"] = 3
    assert task["config"] == {"a": 3}


def test_a_refused_tree_changes_nothing():
    task = Task(config={"arg1": 1})
    with pytest.raises(TaskSetError):
        task["config"] = {"arg1": 2, "arg2": True}
    assert task["config"] == {"arg1": 1}


def test_nothing_is_shared_between_tasks():
    block = {"pkg": "hey", "config": {"arg1": 1}}
    one, two = Task(block), Task(block)
    one["config.arg1"] = 2
    one["config"]["arg1"] = 3
    assert two["config"] == {"arg1": 1}
    assert block == {"pkg": "hey", "config": {"arg1": 1}}
    assert Task() == {}


def test_a_list_is_copied():
    periods = [10, 20]
    task = Task(period=periods)
    periods.append(30)
    assert list(task["period"]) == [10, 20]


def test_deleting():
    task = Task(pkg="hey", config={"arg1": 1})
    del task["config"]
    assert task == {"pkg": "hey"}
    with pytest.raises(KeyError):
        del task["period"]
    with pytest.raises(KeyError):
        task["period"]
    assert task.get("period", 0) == 0


class Array:
    """What taskgen relies on of a numpy array."""

    def __init__(self, content):
        self._content = content

    def tolist(self):
        return self._content


@pytest.mark.parametrize(
    "many",
    [
        [1, 2],
        (1, 2),
        range(1, 3),
        Choice(1, 2),
        Array([1, 2]),
        OrderedDict([(1, 0), (2, 0)]).keys(),
    ],
    ids=["list", "tuple", "range", "choice", "array", "sized iterable"],
)
def test_many_values_become_a_choice(many):
    assert Task(period=many)["period"] == Choice(1, 2)


def test_an_array_scalar_is_one_value():
    assert Task(period=Array(5))["period"] == 5


def test_text_is_one_value():
    assert Task(pkg="hey")["pkg"] == "hey"


def test_a_long_range_is_not_walked():
    assert len(Task({"config.arg1": range(10**15)})["config.arg1"]) == 10**15


def test_extra_keeps_lists_as_data_and_choices_as_choices():
    task = Task(extra={"list": [1, 2], "choice": Choice("a", "b"), "ünï": {"x": [{}]}})
    assert task["extra"]["list"] == (1, 2)
    assert task["extra"]["choice"] == Choice("a", "b")
    assert task["extra.ünï"]["x"] == ({},)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("perid", 1, "perid: there is no such key (did you mean 'period'?)"),
        ("jobs", 1, "jobs: there is no such key (did you mean 'numberofjobs'?)"),
        ("Priority", 1, "Priority: there is no such key (did you mean 'priority'?)"),
        ("zzz", 1, "zzz: there is no such key (keys: id, pkg,"),
        ("period.x", 1, "period.x: period has no parts"),
        ("period", -1, "period = -1: must be from 0 to 4294967"),
        ("period", 4294968, "period = 4294968: must be from 0 to 4294967"),
        ("period", 1.0, "period = 1.0: must be a whole number"),
        ("period", True, "period = True: must be a whole number"),
        ("period", "10", "period = '10': must be a whole number"),
        ("period", None, "period = None: must be a whole number"),
        ("period", [], "period = []: a choice needs at least one value"),
        ("period", [10, -1], "period = -1: must be"),
        ("period", range(0, -3, -1), "period = -2: must be"),
        ("period", range(128, 10**9), "period = 999999999: must be"),
        ("period", {1, 2}, "a set has no order"),
        ("priority", 128, "priority = 128: must be from 0 to 127"),
        ("numberofjobs", 2**32, "numberofjobs = 4294967296: must be"),
        ("id", [1, 2], "the id of a task cannot vary"),
        ("id", -1, "id = -1: must be"),
        ("pkg", "a" * 16, "has 16 bytes, the protocol has room for 15"),
        ("pkg", "héy", "pkg = 'héy': has characters that are not ASCII"),
        ("pkg", "", "pkg = '': is not the name of a binary"),
        ("pkg", "../hey", "pkg = '../hey': is not the name of a binary"),
        ("pkg", ".hey", "is not the name of a binary"),
        ("pkg", 5, "pkg = 5: must be text"),
        ("quota", "1m", "quota = '1m': is not a size"),
        ("quota", "0", "quota = '0': is not a size"),
        ("quota", "1.5M", "quota = '1.5M': is not a size"),
        ("quota", "9999999999999G", "is not a size"),
        ("quota", True, "quota = True: is not a size"),
        ("config", 5, "config = 5: must be names and values"),
        ("config", ["a"], "must be names and values"),
        ("config.arg1", "grüß", "config.arg1 = 'grüß': has characters that are not ASCII"),
        ("config.arg1", "a\nb", "has characters that cannot be printed"),
        ("config.arg1", True, "servers differ in how they write a truth value"),
        ("config.arg1", float("nan"), "config.arg1 = nan: must be finite"),
        ("config.1arg", 1, "config.1arg: '1arg' is not a name for an argument"),
        ("config.@a.b", 1, "'@a' is not a name for an argument"),
        ("config.", 1, "'' is not a name for an argument"),
        ("config", {"a.b": 1}, "config: 'a.b' is not a name"),
        ("config", {1: 1}, "config: 1 is not a name"),
        ("extra.x", object, "cannot be kept with the results"),
        ("extra.x", None, "extra.x = None: cannot be kept"),
        ("extra.x", float("inf"), "must be finite"),
        (5, 1, "5: the keys of a task are text"),
    ],
)
def test_what_is_refused_and_how_it_is_said(key, value, message):
    with pytest.raises(TaskSetError) as caught:
        Task({key: value})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["1", "512K", "1M", "2G", "1048576"])
def test_sizes(value):
    assert Task(quota=value)["quota"] == value


def test_a_number_of_bytes_is_a_size():
    assert list(Task(quota=range(4096, 8193, 4096))["quota"]) == ["4096", "8192"]


@pytest.mark.parametrize("block", [5, "hey", None, [{"pkg": "hey"}]])
def test_what_is_no_block(block):
    with pytest.raises(TaskSetError, match="is not a block"):
        Task(block)


def test_coupled_keys():
    task = Task(Coupled({"config.arg1": ["a", "b"]}, period=[10, 20]), pkg="hey")
    assert task["period"] == Choice(10, 20)
    assert task["config"] == {"arg1": Choice("a", "b")}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"period": [1, 2], "deadline": [1]}, "deadline has 1 values, period has 2"),
        ({"period": [1, 2], "deadline": 5}, "deadline = 5: coupled keys need a list"),
        ({"period": iter([1])}, "coupled keys need a list"),
        ({}, "needs at least one key"),
    ],
)
def test_couplings_that_are_none(columns, message):
    with pytest.raises(TaskSetError) as caught:
        Coupled(columns)
    assert message in str(caught.value)


def test_coupled_values_are_checked_when_their_task_is_known():
    with pytest.raises(TaskSetError, match="period = -1"):
        Task(Coupled(period=[-1]))
    with pytest.raises(TaskSetError, match="cannot vary"):
        Task(Coupled(id=[1, 2]))
    with pytest.raises(TaskSetError, match="no such key"):
        Task(Coupled(perid=[1, 2]))


def test_the_table_of_keys_is_consistent():
    for name, key in KEYS.items():
        assert name == key.name
        assert key.meaning.endswith(".")
        assert (key.minimum is None) == (key.type is not KeyType.INTEGER)
        if key.sent is Sent.IF_GIVEN:
            assert key.default is None
        elif name not in ("id", "pkg"):
            assert key.default is not None


@pytest.mark.parametrize("values", [range(5, 8), (5, 6, 7)])
def test_a_choice_is_a_sequence(values):
    choice = Choice.of(values)
    assert len(choice) == 3
    assert choice[1] == 6
    assert choice[1:] == Choice(6, 7)
    assert choice.index(7) == 2
    assert 6 in choice
    assert choice == Choice(5, 6, 7)
    assert choice != Choice(5, 6)
    assert choice != [5, 6, 7]


def test_choices_that_have_no_value():
    for make in (Choice, lambda: Choice.of(())):
        with pytest.raises(TaskSetError, match="at least one value"):
            make()


def test_how_values_look():
    assert repr(Choice(1, 2)) == "Choice(1, 2)"
    assert repr(Choice(1)) == "Choice(1)"
    assert repr(Choice.of(range(3))) == "Choice.of(range(0, 3))"
    assert repr(Coupled(period=[1])) == "Coupled({'period': Choice(1)})"
    assert repr(Task(pkg="a", period=iter(()))["period"]).startswith("Stream(<tuple_iterator")
    assert repr(Task(pkg="a")) == "Task({'pkg': 'a'})"


def test_ranges_for_keys_that_are_no_numbers_are_checked_too():
    with pytest.raises(TaskSetError, match="pkg = 0: must be text"):
        Task(pkg=range(3))
    with pytest.raises(TaskSetError, match="quota = '0': is not a size"):
        Task(quota=range(3))


def test_a_coupling_of_a_set():
    with pytest.raises(TaskSetError, match="a set has no order"):
        Coupled(period={1, 2})


def test_text_that_is_no_unicode():
    with pytest.raises(TaskSetError, match="is not Unicode text"):
        Task(extra={"x": "\ud800"})


def test_numbers_of_arrays_are_numbers():
    assert Task({"config.arg1": Array([1.5, 2]), "extra.x": Array([1, 2])}) == {
        "config": {"arg1": Choice(1.5, 2)},
        "extra": {"x": (1, 2)},
    }

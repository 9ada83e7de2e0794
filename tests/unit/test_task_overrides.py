"""``--set task.key=value``."""

from __future__ import annotations

import pytest

from taskgen.coupling import Coupled
from taskgen.errors import TaskSetError
from taskgen.overrides import apply_settings
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.values import Choice


@pytest.fixture
def taskset():
    return TaskSet([Task(pkg="hey", period=1), Task(pkg="pi"), Task(pkg=["hey", "idle"])])


@pytest.mark.parametrize(
    ("setting", "path", "expected"),
    [
        ("1.period=100", "period", [100, None, None]),
        ("hey.period=100", "period", [100, None, 100]),
        ("*.period=100", "period", [100, 100, 100]),
        (" 2.period = 100 ", "period", [1, 100, None]),
        ("2.config.arg1=x=y", "config.arg1", [None, "x=y", None]),
        ("2.config.arg1=-5", "config.arg1", [None, -5, None]),
        ("2.config.arg1=007", "config.arg1", [None, "007", None]),
        ("2.config.arg1=1,2, x", "config.arg1", [None, Choice(1, 2, "x"), None]),
        ("2.config.arg1=1..3", "config.arg1", [None, Choice(1, 2, 3), None]),
        ("2.priority=0..127", "priority", [None, Choice.of(range(128)), None]),
        ("2.priority=0..100..50", "priority", [None, Choice(0, 50, 100), None]),
        ("2.quota=1M,2M", "quota", [None, Choice("1M", "2M"), None]),
        ("2.extra.note=a,b", "extra.note", [None, Choice("a", "b"), None]),
        ("2.pkg=namaste", "pkg", ["hey", "namaste", Choice("hey", "idle")]),
    ],
)
def test_what_a_setting_does(taskset, setting, path, expected):
    changed = apply_settings(taskset, [setting])
    assert [task.get(path) for task in changed] == expected


def test_the_original_stays(taskset):
    apply_settings(taskset, ["*.period=7"])
    assert [task.get("period") for task in taskset] == [1, None, None]


def test_later_settings_win(taskset):
    changed = apply_settings(taskset, ["*.period=7", "1.period=8"])
    assert [task["period"] for task in changed] == [8, 7, 7]


def test_a_coupled_key_leaves_its_coupling():
    taskset = TaskSet([Task(Coupled(period=[1, 2], deadline=[1, 2]), pkg="hey")])
    changed = apply_settings(taskset, ["1.deadline=5"])
    assert [tuple(v.parameters.values()) for v in changed.variants()] == [(1,), (2,)]
    assert {v.tasks[0]["deadline"] for v in changed.variants()} == {5}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("1.period", "must be task.key=value"),
        ("period=1", "must be task.key=value"),
        (".period=1", "must be task.key=value"),
        ("1.=1", "must be task.key=value"),
        ("1.perid=1", "--set 1.perid=1: perid: there is no such key (did you mean 'period'?)"),
        ("4.period=1", "there is no task 4 (tasks: 1 (hey), 2 (pi), 3 (hey/idle); * for all)"),
        ("linpack.period=1", "there is no task linpack"),
        ("1.period=abc", "period = 'abc': must be a whole number"),
        ("1.period=", "the value is missing; period takes a whole number from 0"),
        ("1.period=1,,2", "period = '': must be a whole number"),
        ("1.period=5..1", "5..1: the range ends before it begins"),
        ("1.period=1..99999999", "must be from 0 to"),
        ("1.config=5", "config = 5: must be names and values"),
        ("1.id=2", "id 2 is used twice"),
        ("1.id=2,3", "cannot vary"),
        ("1.pkg=/bin/sh", "is not the name of a binary"),
        (f"1.config.arg1={'9' * 5000}..{'9' * 5000}x", ""),
    ],
)
def test_settings_that_cannot_be(taskset, setting, message):
    if not message:  # a very long number is text, not a crash
        assert apply_settings(taskset, [setting])[0]["config.arg1"] == setting.partition("=")[2]
        return
    with pytest.raises(TaskSetError) as caught:
        apply_settings(taskset, [setting])
    assert message in str(caught.value)

"""Finding task-sets by name."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import pytest

from taskgen.errors import TaskSetError
from taskgen.taskset_names import list_module, list_tasksets, load_installed, load_taskset
from taskgen.tasksets.hey import Hey1TaskSet

MINE = """
from taskgen.task import Task
from taskgen.taskset import TaskSet

class Mine(TaskSet):
    def __init__(self):
        super().__init__([Task(pkg="hey")])

class Failing(TaskSet):
    def __init__(self):
        raise RuntimeError("out of ideas")

class NeedsArgument(TaskSet):
    def __init__(self, n):
        super().__init__()

class WrongKey(TaskSet):
    def __init__(self):
        super().__init__([Task(perid=1)])

def made():
    return Mine()

instance = Mine()
number = 5
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "my_sets.py").write_text(MINE)
    (tmp_path / "my_broken.py").write_text("import does_not_exist_anywhere\n")
    (tmp_path / "my_syntax.py").write_text("class:\n")
    (tmp_path / "my_exit.py").write_text("raise SystemExit(3)\n")
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


def test_ours():
    assert type(load_taskset("hey.Hey1TaskSet")) is Hey1TaskSet
    assert type(load_taskset("taskgen.tasksets.hey.Hey1TaskSet")) is Hey1TaskSet


@pytest.mark.parametrize("name", ["Mine", "made", "instance"])
def test_the_users_own(mine, name):
    assert load_taskset(f"my_sets.{name}", directory=mine).binaries() == {"hey"}
    assert str(mine) not in sys.path


def test_the_users_directory_is_searched_only_where_asked(mine):
    with pytest.raises(TaskSetError, match="there is no module my_sets"):
        load_taskset("my_sets.Mine")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hey", "is not a dotted name"),
        ("hey.Hey1TaskSt", "has no Hey1TaskSt (did you mean 'hey.Hey1TaskSet'?)"),
        ("exampel.Demo", "there is no module exampel (did you mean 'example.Demo'?)"),
        ("hey.HelloWorld", "taskgen.tasksets.hey has no HelloWorld"),
        ("os.path.join", "TypeError"),
        ("os.sep", "is a str, not a task-set"),
        ("my_sets.Missing", "my_sets has no Missing"),
        ("my_sets.deeper.Mine", "there is no module my_sets.deeper"),
        ("my_sets.Failing", "RuntimeError: out of ideas"),
        ("my_sets.NeedsArgument", "missing 1 required positional argument"),
        ("my_sets.WrongKey", "perid: there is no such key"),
        ("my_sets.number", "is a int, not a task-set"),
        ("my_broken.Mine", "No module named 'does_not_exist_anywhere'"),
        ("my_syntax.Mine", "SyntaxError"),
        ("my_exit.Mine", "SystemExit: 3"),
        ("..Mine", "task-set '..Mine'"),
        ("", "is not a dotted name"),
    ],
)
def test_each_failure_is_one_line_that_names_it(mine, name, message):
    with pytest.raises(TaskSetError) as caught:
        load_taskset(name, directory=mine)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(mine) not in sys.path


def test_listing():
    listed = dict(list_tasksets())
    assert listed["hey.Hey1TaskSet"] == "One task, from blocks."
    assert "example.Demo" in listed
    assert not any("BlockTaskSet" in name for name in listed)


def test_listing_a_module(mine):
    listed = list_module("my_sets", directory=mine)
    assert [name for name, _ in listed][:2] == ["my_sets.Mine", "my_sets.Failing"]
    assert dict(list_module("hey"))["hey.Hey1TaskSet"] == "One task, from blocks."
    assert str(mine) not in sys.path
    with pytest.raises(TaskSetError, match="there is no module my_stes"):
        list_module("my_stes", directory=mine)


class Plugins:
    """Entry points of a package that is not there."""

    def __init__(self, **targets):
        self.points = [
            EntryPoint(name, value, "taskgen.tasksets") for name, value in targets.items()
        ]

    def __call__(self, *, group, name=None):
        assert group == "taskgen.tasksets"
        return [point for point in self.points if name in (None, point.name)]


def test_plug_ins(mine, monkeypatch):
    plugins = Plugins(theirs="taskgen.tasksets.hey:Hey1TaskSet", broken="does_not_exist:X")
    monkeypatch.setattr("taskgen.taskset_names.entry_points", plugins)
    assert type(load_taskset("theirs")) is Hey1TaskSet
    with pytest.raises(TaskSetError, match="broken: entry point does_not_exist:X: ModuleNotFound"):
        load_taskset("broken")
    listed = dict(list_tasksets())
    assert listed["theirs"] == "One task, from blocks."
    assert listed["broken"].startswith("cannot be loaded: entry point does_not_exist:X: ModuleNot")
    assert "hey.Hey1TaskSet" in listed


@pytest.mark.parametrize("name", ["hey.Hey1TaskSet", "taskgen.tasksets.hey.Hey1TaskSet", "theirs"])
def test_what_is_installed_can_be_had_by_strangers(name, monkeypatch):
    plugins = Plugins(theirs="taskgen.tasksets.hey:Hey1TaskSet")
    monkeypatch.setattr("taskgen.taskset_names.entry_points", plugins)
    assert type(load_installed(name)) is Hey1TaskSet


def test_a_plug_in_that_fails_is_named(monkeypatch):
    monkeypatch.setattr("taskgen.taskset_names.entry_points", Plugins(broken="does_not_exist:X"))
    with pytest.raises(TaskSetError, match="broken: entry point does_not_exist:X: ModuleNotFound"):
        load_installed("broken")


@pytest.mark.parametrize(
    "name",
    [
        "my_sets.Mine",
        "os.path.join",
        "hey.BlockTaskSet",
        "hey.TaskSet",
        "hey.__builtins__",
        "hey",
        "hey.",
        "tasksets.hey.Hey1TaskSet",
        "taskgen.tasksets.hey",
        "",
        ".",
        "..",
        "..hey.Hey1TaskSet",
        "/etc/passwd",
        "set.toml",
        "\0",
    ],
)
def test_strangers_get_nothing_else(mine, name, monkeypatch):
    """Neither a file that is there, nor a module that could be imported."""
    (mine / "set.toml").write_text('[[task]]\npkg = "hey"\n')
    monkeypatch.chdir(mine)
    monkeypatch.syspath_prepend(str(mine))
    before = set(sys.modules)
    with pytest.raises(TaskSetError, match="none of this name is installed"):
        load_installed(name)
    assert not {module for module in set(sys.modules) - before if module.startswith("my_")}


def test_a_name_that_is_nearly_right_is_helped():
    with pytest.raises(TaskSetError, match=r"did you mean 'hey\.Hey1TaskSet'\?"):
        load_installed("hey.Hey1Taskset")

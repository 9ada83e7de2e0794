"""What is refused of a job before anything of it runs."""

from types import SimpleNamespace

import pytest

from taskgen.checks import check_admission_control, check_admission_data, check_duration
from taskgen.errors import ConfigError, TaskSetError
from taskgen.interfaces import SessionSettings
from taskgen.task import Task
from taskgen.taskset import TaskSet

KNOWS = SimpleNamespace(name="knows", optimize=True)
DOES_NOT = SimpleNamespace(name="does-not", optimize=False)


def tasks(**keys):
    return TaskSet([Task({"pkg": "hey", **keys})])


@pytest.mark.parametrize(
    "keys",
    [
        {"numberofjobs": 0, "period": 100},
        {"numberofjobs": [1, 0], "period": 100},
        {"numberofjobs": 0, "period": [0, 100]},
    ],
)
def test_a_task_that_may_never_end_needs_a_duration(keys):
    with pytest.raises(TaskSetError, match=r"task 1: never ends .*--duration S, or duration_s"):
        check_duration(tasks(**keys), None)
    check_duration(tasks(**keys), 1.0)


@pytest.mark.parametrize(
    "keys", [{"numberofjobs": 3, "period": 100}, {"numberofjobs": 0, "period": 0}, {}]
)
def test_a_task_that_ends_needs_none(keys):
    check_duration(tasks(**keys), None)


def test_data_for_admission_control_need_a_server_that_knows_them():
    with_data = SessionSettings(admission_control={"a": {"b": 1}})
    check_admission_control(KNOWS, with_data)
    check_admission_control(DOES_NOT, SessionSettings())
    with pytest.raises(ConfigError, match=r"profile does-not: .*optimize = false.*for commands"):
        check_admission_control(DOES_NOT, with_data)


@pytest.mark.parametrize("data", [{"a": object()}, {"not a name": 1}, {"a": "ü"}])
def test_data_that_no_xml_can_hold_are_refused(data):
    settings = SessionSettings(admission_control=data)
    with pytest.raises(TaskSetError, match="data for admission control: "):
        check_admission_control(KNOWS, settings)
    with pytest.raises(TaskSetError, match="data for admission control: "):
        check_admission_data(settings)

"""What can be said of a job before anything of it runs."""

from __future__ import annotations

from collections.abc import Sequence

from taskgen.errors import ConfigError, LocalProtocolError, TaskSetError
from taskgen.interfaces import SessionSettings
from taskgen.profiles import Profile
from taskgen.protocol import dict_to_xml
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.values import Choice


def check_duration(tasks: TaskSet, duration_s: float | None) -> None:
    """A task that never ends needs an explicit duration.

    :param duration_s: after which each run is stopped; ``None``: it ends by itself.
    :raises TaskSetError: naming the task.
    """
    if duration_s is not None:
        return
    for task in tasks:
        if 0 in _values(task, "numberofjobs", 1) and any(_values(task, "period", 0)):
            raise TaskSetError(
                f"task {task.id}: never ends (numberofjobs = 0)",
                hint="give the runs a duration: --duration S, or duration_s",
            )


def check_admission_control(profile: Profile, settings: SessionSettings) -> None:
    """Data for admission control need machines whose server knows ``OPTIMIZE``.

    For machines that we launch. Hosts of address ranges have a setting of their own,
    ``hosts.optimize``, and get none where that is false.

    :raises ConfigError: if the profile's server would take the data for commands.
    :raises TaskSetError: if the data cannot be said in XML.
    """
    if settings.admission_control is None:
        return
    check_admission_data(settings)
    if not profile.optimize:
        raise ConfigError(
            f"profile {profile.name}: its server does not know OPTIMIZE (optimize = false), and"
            " would take the data for admission control for commands",
            hint="leave the data out, or set optimize = true in the profile of a server that does",
        )


def check_admission_data(settings: SessionSettings) -> None:
    """Data for admission control have to fit into XML, whoever gets them.

    :raises TaskSetError: naming what does not.
    """
    try:
        dict_to_xml(settings.admission_control or {})
    except LocalProtocolError as error:
        raise TaskSetError(f"data for admission control: {error.message}") from error


def _values(task: Task, key: str, default: int) -> Sequence[int]:
    value = task.get(key, default)
    return value if isinstance(value, Choice) else (value,)

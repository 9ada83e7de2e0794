"""Which kind of target a job is for, and whether it can run there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskgen.binaries import Binaries
from taskgen.checks import check_admission_control, check_admission_data, check_duration
from taskgen.errors import BinaryError, ConfigError, TaskgenError
from taskgen.profiles import Profile
from taskgen.queue import JobSpec
from taskgen.taskset import TaskSet


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of target that there is.

    :ivar binaries: where its task binaries lie.
    :ivar launched: whether we launch it ourselves; hosts have a setting of their own for what they
        understand.
    """

    profile: Profile
    binaries: Binaries
    launched: bool

    def check(self, spec: JobSpec) -> None:
        """Whether a job can run here.

        :raises SetupError: if it cannot.
        """
        if isinstance(spec.taskset, TaskSet):
            self.binaries.check(sorted(spec.taskset.binaries()), spec.binaries)
        if self.launched:
            check_admission_control(self.profile, spec.settings)


def fitted(spec: JobSpec, places: Sequence[Place]) -> JobSpec:
    """The job with the profile that it needs: the one it names, or the only one that it fits.

    A job that fits all places needs none.

    :raises SetupError: if it cannot run anywhere, or has to say where.
    """
    if isinstance(spec.taskset, TaskSet):
        spec.taskset.validate()
        check_duration(spec.taskset, spec.settings.duration_s)
        _check_uploads(spec, spec.taskset)
    check_admission_data(spec.settings)
    names = list(dict.fromkeys(place.profile.name for place in places))
    if spec.profile is not None and spec.profile not in names:
        raise ConfigError(
            f"profile {spec.profile}: there is no target of it here",
            hint=f"there are targets of {', '.join(names)}",
        )
    problems: dict[str, TaskgenError] = {}
    for place in places:
        if spec.profile in (None, place.profile.name):
            try:
                place.check(spec)
            except TaskgenError as error:
                problems[place.profile.name] = error
    fitting = [name for name in names if name not in problems]
    if spec.profile in problems or not fitting:
        raise next(iter(problems.values()))
    if spec.profile is not None or not problems:
        return spec
    if len(fitting) > 1:
        raise ConfigError(
            f"the job does not fit all kinds of targets: {next(iter(problems.values()))}",
            hint=f"name the profile: {', '.join(fitting)}",
        )
    return replace(spec, profile=fitting[0])


def _check_uploads(spec: JobSpec, taskset: TaskSet) -> None:
    """Refuse an uploaded binary that no task runs: its name is wrong, and another would be run."""
    if unused := sorted(set(spec.binaries) - taskset.binaries()):
        raise BinaryError(
            f"no task of the job runs the binary '{unused[0]}'",
            hint=f"the tasks run {', '.join(sorted(taskset.binaries()))}",
        )

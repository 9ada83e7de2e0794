"""Which tasks the reference guest would refuse, over all variants at once."""

from __future__ import annotations

from taskgen.admission import linux_guest_refuses
from taskgen.cli.taskset_input import drawn
from taskgen.task import Task
from taskgen.taskset import TaskSet
from taskgen.variant_stream import VariantStream

#: Combinations of a task's own values that are tried; of more, so many drawn ones are.
TRIED = 1000

#: What a refusal depends on.
_KEYS = ("id", "deadline", "period", "executiontime")


def refusals(taskset: TaskSet) -> list[str]:
    """A line for each task that the Linux guest would not admit, in all variants or in some.

    A refusal depends on few keys of one task, so tasks are looked at one by one: that is quick
    however many variants there are.

    :raises TaskSetError: if values cannot be had.
    """
    return [line for task in taskset for line in _refused(task, taskset.name)]


def _refused(task: Task, name: str) -> list[str]:
    if "deadline" not in task:
        return []
    alone = task.copy()
    for key in set(alone) - set(_KEYS):
        del alone[key]
    alone["pkg"] = "any"
    alone["id"] = task.id
    variants = TaskSet([alone]).variants()
    scope = ""
    if isinstance(variants, VariantStream):
        return [f"task {task.id}: cannot be checked, as its values come one after the other"]
    if variants.count > TRIED:
        scope = f" drawn from {variants.count}"
        variants = variants.sample(TRIED, seed=0)
    tried = variants.count
    reasons = [
        reason for variant in drawn(variants, name) for reason in linux_guest_refuses(variant.tasks)
    ]
    if not reasons:
        return []
    if len(reasons) == tried and not scope:
        which = "" if tried == 1 else f", as in all {tried} combinations of its values"
        return [reasons[0] + which]
    return [f"{reasons[0]}, as in {len(reasons)} of {tried} combinations of its values{scope}"]

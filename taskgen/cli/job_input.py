"""What can be sent to a daemon."""

from __future__ import annotations

from taskgen.errors import TaskSetError
from taskgen.taskset import TaskSet


def check_document(tasks: TaskSet) -> None:
    """Whether a document can hold all of a task-set: it is all that the daemon is sent.

    :raises TaskSetError: if it cannot.
    """
    if type(tasks).variants is not TaskSet.variants:
        raise TaskSetError(
            f"task-set {tasks.name}: makes its variants with code of its own, which no document"
            " can hold",
            hint="taskgen run --embedded runs it without the daemon",
        )
    tasks.to_document()

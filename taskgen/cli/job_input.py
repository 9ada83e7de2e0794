"""What can be sent to a daemon."""

from __future__ import annotations

from taskgen.errors import TaskSetError
from taskgen.taskset import TaskSet


def check_document(tasks: TaskSet) -> None:
    """Whether a document can hold all of a task-set: it is all that the daemon is sent.

    :raises TaskSetError: if it cannot.
    """
    try:
        tasks.whole_document()
    except TaskSetError as error:
        error.hint = error.hint or "taskgen run --embedded runs it without the daemon"
        raise

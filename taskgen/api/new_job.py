"""A job as it is asked for, made into what the queue takes.

Nothing in a request can name a path or code: a task-set comes as a document, or by a name that was
installed where the daemon runs; binaries come by their hash.
"""

from __future__ import annotations

import asyncio
import hashlib
import json

from taskgen.errors import TaskSetError
from taskgen.interfaces import SessionSettings
from taskgen.queue import JobSpec
from taskgen.resources import NewJob
from taskgen.settings import Settings
from taskgen.taskset import TaskSet
from taskgen.taskset_names import load_installed


def fingerprint(new: NewJob) -> str:
    """What tells a request from others; the order of its keys does not matter."""
    text = json.dumps(new.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


async def spec_of(new: NewJob, settings: Settings) -> JobSpec:
    """The job that is asked for.

    :param settings: for what the request leaves open.
    :raises TaskSetError: if it has no task-set, or one that is not valid.
    """
    # A large one takes a while, which must keep nobody waiting.
    taskset = await asyncio.to_thread(_taskset, new)
    return JobSpec(
        taskset,
        name=new.name,
        labels=new.labels,
        priority=new.priority,
        offset=new.offset,
        limit=new.limit,
        repeat=new.repeat,
        tries=settings.run.tries if new.tries is None else new.tries,
        profile=new.profile,
        settings=SessionSettings(
            admission_control=new.admission_control,
            duration_s=new.duration_s,
            margin=settings.run.margin,
            slack_s=settings.run.slack_s,
        ),
        binaries=new.binaries,
    )


def _taskset(new: NewJob) -> TaskSet:
    if (new.document is None) == (new.taskset is None):
        raise TaskSetError(
            "a job needs exactly one of 'document' and 'taskset'",
            hint="document: the task-set itself; taskset: the name of one that is installed",
        )
    if new.document is not None:
        taskset = TaskSet.from_document(new.document)
    else:
        assert new.taskset is not None
        taskset = load_installed(new.taskset)
    taskset.validate()
    return taskset

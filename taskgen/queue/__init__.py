"""The job queue: what is to be run, what is being run, and what came of it."""

from taskgen.queue.jobs import JobQueue, new_job_id
from taskgen.queue.values import (
    Attempt,
    JobInfo,
    JobSpec,
    JobState,
    RunInfo,
    RunState,
    VariantSource,
)
from taskgen.run_settings import Order

__all__ = [
    "Attempt",
    "JobInfo",
    "JobQueue",
    "JobSpec",
    "JobState",
    "Order",
    "RunInfo",
    "RunState",
    "VariantSource",
    "new_job_id",
]

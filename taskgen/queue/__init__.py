"""The job queue: what is to be run, what is being run, and what came of it."""

from taskgen.queue.jobs import JobQueue, new_job_id
from taskgen.queue.schedule import Order
from taskgen.queue.values import Attempt, JobInfo, JobSpec, JobState, VariantSource

__all__ = [
    "Attempt",
    "JobInfo",
    "JobQueue",
    "JobSpec",
    "JobState",
    "Order",
    "VariantSource",
    "new_job_id",
]

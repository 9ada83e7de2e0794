"""What a log message is about, beside its words: machine, job, run.

Whoever begins to deal with one says so once; all that is logged from there on, also by tasks that
are begun meanwhile, has the fields::

    with log_fields(job=run.job_id, run=run.id):
        ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_fields: ContextVar[Mapping[str, str]] = ContextVar("log fields", default={})  # noqa: B039


def current_fields() -> Mapping[str, str]:
    """The fields that hold here and now. Not to be changed."""
    return _fields.get()


@contextmanager
def log_fields(**more: str) -> Iterator[None]:
    """Add fields to all that is logged in the block."""
    token = _fields.set({**_fields.get(), **more})
    try:
        yield
    finally:
        _fields.reset(token)

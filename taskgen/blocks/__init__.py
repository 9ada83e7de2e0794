"""Building blocks for tasks: parts of the mapping that a task is.

Binaries: ``hey``, ``namaste``, ``pi``, ``linpack``, ``tumatmul``, ``cond_42``, ``cond_mod``,
``idle``. Keys: ``period``, ``priority``, ``deadline``, ``criticaltime``, ``offset``, ``jobs``,
``quota``, each with ``Value`` (one value, or many), ``Variants`` (the values of its usual range,
each a variant) and ``Random`` (one of them, drawn when the task is built).

::

    Task(hey.HelloWorld, priority.Value(100), period.Random)
"""

from taskgen.blocks import (
    cond_42,
    cond_mod,
    criticaltime,
    deadline,
    hey,
    idle,
    jobs,
    linpack,
    namaste,
    offset,
    period,
    pi,
    priority,
    quota,
    tumatmul,
)

__all__ = [
    "cond_42",
    "cond_mod",
    "criticaltime",
    "deadline",
    "hey",
    "idle",
    "jobs",
    "linpack",
    "namaste",
    "offset",
    "period",
    "pi",
    "priority",
    "quota",
    "tumatmul",
]

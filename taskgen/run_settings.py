"""What a user can set of runs: what is done for each, and what is kept of them and between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from taskgen.config import LIVE, STRICT, live, settle_words


class Reset(StrEnum):
    """What is done to a target between two runs. :mod:`taskgen.session_manager` does it."""

    CLEAR = "clear"  # the protocol's CLEAR: tasks are stopped and dropped
    SNAPSHOT = "snapshot"  # a machine goes back to the state that it had when it was ready
    REBOOT = "reboot"  # the guest starts anew for each run


@dataclass(frozen=True)
class SnapshotSettings:
    """``[snapshots]``: the saved states of machines.

    :ivar megabytes: how much of the disk they may take together (10**6 bytes); 0: no bound. The
        one that was used longest ago goes first, and none that a machine uses. A machine for
        which there is no room boots before each run.
    :ivar templates: where a guest takes part, as the reference guest does, all machines start from
        one state and share its memory, unless ``run.reset`` is ``reboot``. If not, each has a state
        of its own where ``run.reset`` is ``snapshot``, and boots where it is ``clear``.
    """

    __pydantic_config__ = STRICT

    megabytes: float = live(4000.0)
    templates: bool = True

    def __post_init__(self) -> None:
        if self.megabytes < 0:
            raise ValueError("megabytes must not be negative")

    @property
    def limit_bytes(self) -> int:
        """The bound in bytes; 0: there is none."""
        return int(self.megabytes * 1e6)


class Order(StrEnum):
    """Which of several jobs of the same priority gets a target. :mod:`taskgen.queue.schedule`
    decides by it."""

    FAIR = "fair"  #: the one with the fewest runs on targets, of these the one that waited longest
    FIFO = "fifo"  #: the oldest one, until it has nothing left


@dataclass(frozen=True)
class RunSettings:
    """``[run]``: what holds for the runs of a job, unless it says otherwise itself.

    :ivar tries: attempts for a variant whose failures are its own.
    :ivar margin: factor on the time that a run can take by its own periods.
    :ivar slack_s: seconds added to that.
    :ivar reset: what is done to a target between two runs: ``clear`` its tasks; have the machine go
        back to a ``snapshot`` of the state that it had when it was ready, so that every run starts
        from the same one; or ``reboot`` it, which is also what ``snapshot`` does to hosts.
    :ivar order: between jobs of the same priority: ``fair``, they share the targets, or ``fifo``,
        the oldest one gets all that it can use, and the next one what is left.
    """

    __pydantic_config__ = STRICT

    tries: int = live(3)
    margin: float = live(1.5)
    slack_s: float = live(10.0)
    reset: Reset = Reset.CLEAR
    order: Order = field(default=Order.FAIR, metadata={LIVE: True})

    def __post_init__(self) -> None:
        settle_words(self)
        if self.tries < 1:
            raise ValueError("tries must be at least 1")
        if self.margin < 1:
            raise ValueError("margin must be at least 1")
        if self.slack_s < 0:
            raise ValueError("slack_s must not be negative")


@dataclass(frozen=True)
class ResultSettings:
    """``[results]``: what is kept in a database of results, and in the daemon's queue. 0: no bound.

    The daemon looks at it when it starts, and once an hour. It forgets jobs as a whole, with all
    that came of them, those that ended first before others, and none that has not ended.

    :ivar days: runs that were recorded within so many days; of the daemon's, jobs that ended within
        them.
    :ivar runs: so many runs; of the daemon's, attempts that failed and runs of jobs that have not
        ended count too. A job with more of them is forgotten once it has ended.
    :ivar megabytes: so many that the database is not larger than this (10**6 bytes).
    """

    __pydantic_config__ = STRICT

    days: float = live(0.0)
    runs: int = live(0)
    megabytes: float = live(0.0)

    def __post_init__(self) -> None:
        for key in ("days", "runs", "megabytes"):
            if getattr(self, key) < 0:
                raise ValueError(f"{key} must not be negative")

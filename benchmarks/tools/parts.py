"""What the wall time of a job on several machines is made of, and what of it is above the ideal."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from statistics import fmean

from benchmarks.tools.cpu import host_ticks

#: When a run began and ended: ``START``, and its last ``JOBS_DONE``.
Span = tuple[float, float]


@dataclass(frozen=True)
class Parts:
    """Seconds of one machine, the mean of all of them. The first four add up to the wall time.

    :ivar starts: from the job's begin to the machine's first ``START``: waiting for its turn, the
        start itself, the upload.
    :ivar sets: in which it carried out a run.
    :ivar between: from the end of a run to the ``START`` of the next one.
    :ivar tail: from the end of its last run to the job's end: others were still at it.
    :ivar own_cpu: CPU of our process, in all.
    :ivar qemu_cpu: CPU of the machines, in all, until they had ended.
    :ivar cores: the CPU that the host had in this time: its cores' seconds.
    :ivar busy: which part of that was used by anybody.
    """

    starts: float
    sets: float
    between: float
    tail: float
    own_cpu: float = 0.0
    qemu_cpu: float = 0.0
    cores: float = 0.0
    busy: float = 0.0

    @property
    def wall(self) -> float:
        """Seconds of the whole job."""
        return self.starts + self.sets + self.between + self.tail

    def above(self, *, start: float, sets: float) -> Mapping[str, float]:
        """By how many seconds each is above an ideal, which has nothing but these two.

        :param start: seconds of one machine's start, when nothing else is going on.
        :param sets: seconds that the runs of one machine take then.
        """
        return {
            "starts": self.starts - start,
            "between runs": self.between,
            "longer runs": self.sets - sets,
            "tail": self.tail,
        }

    @property
    def cpu(self) -> str:
        """How much CPU there was for it, and who used that, in words."""
        used = (self.own_cpu + self.qemu_cpu) / self.cores
        return (
            f"of {self.cores:.1f} CPU s that the cores had, machines used {self.qemu_cpu:.1f} and"
            f" we {self.own_cpu:.1f}, {used:.0%} together; the host was busy for {self.busy:.0%}"
        )


def parts_of(runs: Sequence[Sequence[Span]], *, machines: int, began: float, ended: float) -> Parts:
    """The parts of a job.

    :param runs: those of each machine that had any, in their order.
    :param machines: so many there were to be; one without a run was starting all the time.
    """
    starts = [each[0][0] - began for each in runs]
    starts += [ended - began] * (machines - len(runs))
    return Parts(
        starts=sum(starts) / machines,
        sets=sum(end - begin for each in runs for begin, end in each) / machines,
        between=sum(new[0] - old[1] for each in runs for old, new in pairwise(each)) / machines,
        tail=sum(ended - each[-1][1] for each in runs) / machines,
    )


def mean_of(rounds: Sequence[Parts]) -> Parts:
    """The mean of several rounds."""
    names = [each.name for each in fields(Parts)]
    return Parts(**{name: fmean(getattr(each, name) for each in rounds) for name in names})


class CpuMeter:
    """What CPU this process and its children use from now on.

    A child counts once it has ended and we were told.
    """

    def __init__(self) -> None:
        self._own_s, self._began = time.process_time(), time.monotonic()
        self._children_s, self._host = _children_s(), host_ticks()

    def busy_share(self) -> float:
        """The part of the host's time in which a core worked, for whomever, from 0 to 1."""
        (busy, total), (busy_then, total_then) = host_ticks(), self._host
        return (busy - busy_then) / max(1, total - total_then)

    def cores_s(self) -> float:
        """Seconds that the cores had which we may use."""
        return len(os.sched_getaffinity(0)) * (time.monotonic() - self._began)

    def own_s(self) -> float:
        """Seconds that this process has used."""
        return time.process_time() - self._own_s

    def children_s(self) -> float:
        """Seconds that children used which have ended."""
        return _children_s() - self._children_s


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

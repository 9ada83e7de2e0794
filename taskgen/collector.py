"""When Python looks for cycles of objects while runs are carried out."""

from __future__ import annotations

import gc
import threading
from contextlib import AbstractContextManager

from taskgen import heap

#: New objects after which Python looks; its own default is 700. What a run makes has no cycles, and
#: goes with the last reference to it, mostly at the next commit. Until then the young objects of
#: hundreds of targets are looked through over and over, and nothing is ever found: a tenth of all
#: the CPU time of an engine with 256 targets.
YOUNG = 20_000


def tidy() -> None:
    """Look for cycles among objects that are not old, now: something has ended that leaves some.

    A boot does (netlink messages, answers of QMP). Where they are not looked for soon, the next
    boot takes new memory, and the process keeps it all. Takes some milliseconds, however large the
    process is. A program that wants no such looks is spared. A process that is settled gives what
    is free back to the system.
    """
    if gc.isenabled():
        gc.collect(2 if _process.settled else 1)
    if _process.settled:
        heap.give_back()


def settle() -> None:
    """What there is now stays for good: it is not looked through any more.

    For a process of our own, when all is loaded. Python looks through everything only when a
    quarter as much has been added: where code and API are most of it, that is all that a storm of
    boots leaves.
    """
    gc.collect()
    gc.freeze()
    heap.give_back()
    _process.settled = True


class _Seldom(AbstractContextManager[None]):
    """Counts who is inside, and remembers how it was before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = (0, 0, 0)
        self.settled = False  # so that a look at everything is a short one

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = gc.get_threshold()
                if 0 < self._before[0] < YOUNG:
                    gc.set_threshold(YOUNG, *self._before[1:])

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and gc.get_threshold() == (YOUNG, *self._before[1:]):
                gc.set_threshold(*self._before)


_process = _Seldom()


def seldom() -> AbstractContextManager[None]:
    """Look for cycles seldom while anybody is in such a block, from whatever thread.

    It is the whole process that does so. A program that has set a rarer look itself, or none at
    all, keeps what it has set; so does one that sets it meanwhile.
    """
    return _process

"""Decides which host to try when. Pure: a clock comes in, numbers of hosts go out.

A host is known here by its number in the address space. One that was not tried yet costs two
bytes; one that was, an integer in a heap. So a /16 needs a few megabytes, and no timers.

What is to be tried next:

1. a host that has answered before and was not needed then;
2. in turn, one that is known to be there (it refused, was busy, got lost) and whose back-off is
   over, and one of the rest: those that were never tried, then those that were silent. So neither
   can starve the other.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class HostState(StrEnum):
    """What is known of a host."""

    UNTRIED = "untried"  # nothing yet
    TRYING = "trying"  # is being asked for AVAILABLE
    SERVING = "serving"  # is ours: carries out runs
    FREE = "free"  # has answered; there was no work for it
    SILENT = "silent"  # no connection: nobody is there, or no way leads there
    REFUSED = "refused"  # is there, but nothing listens on the port
    BUSY = "busy"  # connected, but no echo of AVAILABLE: another client has it
    LOST = "lost"  # was ours, and the connection was lost
    ODD = "odd"  # what listens there is no Taskloader


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to leave a host alone.

    :ivar first_s: after the first time; it doubles with each further one.
    :ivar longest_s: no longer than this.
    """

    first_s: float
    longest_s: float

    def delay_s(self, failures: int) -> float:
        """The delay after so many failures in a row, from 1."""
        return min(self.first_s * 2.0 ** min(failures - 1, 60), self.longest_s)


#: How long a host rests, by what became of it.
BACKOFFS: Mapping[HostState, Backoff] = {
    HostState.SILENT: Backoff(10.0, 600.0),
    HostState.REFUSED: Backoff(1.0, 30.0),  # its server may be starting
    HostState.BUSY: Backoff(2.0, 60.0),
    HostState.LOST: Backoff(1.0, 60.0),
    HostState.ODD: Backoff(30.0, 600.0),
}

#: Part of a delay by which it is shortened at random, so that two engines do not keep in step.
JITTER = 0.25

_STATES = tuple(HostState)
_CODES = {state: code for code, state in enumerate(_STATES)}
_MOST_FAILURES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """What is known of one host.

    :ivar failures: tries in a row that led to nothing.
    :ivar reason: for people; empty where the state says all.
    :ivar next_try_s: seconds until it is tried again, at the earliest; ``None``: it is not waiting.
    """

    index: int
    state: HostState
    failures: int
    reason: str
    next_try_s: float | None


class ScanPlan:
    """Which host to try when.

    :param count: hosts in all; they are numbered from 0.
    :param concurrency: hosts that may be tried at the same time.
    :param clock: seconds; must not go backwards.
    :param chance: numbers from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        count: int,
        *,
        concurrency: int,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._count = count
        self._concurrency = concurrency
        self._clock = clock
        self._chance = chance
        self._states = bytearray(count)  # UNTRIED is 0
        self._failures = bytearray(count)
        self._reasons: dict[int, str] = {}  # only of hosts that are there
        self._cursor = 0  # all from here on are untried
        self._free: deque[int] = deque()
        self._known: list[int] = []  # heaps of packed due times and hosts
        self._silent: list[int] = []
        self._heard: set[int] = set()  # those that have ever been there
        self._before: dict[int, HostState] = {}  # of those being tried: what they were
        self._serving = 0
        self._turn_of_known = True

    @property
    def serving(self) -> int:
        """Hosts that are ours."""
        return self._serving

    def take(self, wanted: int) -> int | None:
        """The next host to try, which is TRYING from now on; ``None``: none now.

        :param wanted: hosts that there is work for, beside those that serve. While as many that
            were free are being tried, no other is: most likely they will do.
        """
        if not self._may_try(wanted):
            return None
        index = self._free.popleft() if self._free else self._next()
        if index is not None:
            self._before[index] = self.state(index)
            self._set(index, HostState.TRYING)
        return index

    def wait_s(self, wanted: int) -> float | None:
        """Seconds until :meth:`take` has a host; ``None``: something else has to happen first."""
        if not self._may_try(wanted):
            return None
        if self._free or self._cursor < self._count:
            return 0.0
        dues = [_due_s(heap[0]) for heap in (self._known, self._silent) if heap]
        return max(0.0, min(dues) - self._clock()) if dues else None

    def found(self, index: int) -> None:
        """A host that was tried has answered, and is ours now."""
        del self._before[index]
        self._set(index, HostState.SERVING)
        self._heard.add(index)
        self._serving += 1

    def ended(self, index: int, state: HostState, reason: str = "", *, good: bool = False) -> None:
        """A host that was tried or served is given back.

        :param state: what became of it; all but ``FREE`` lead to a back-off.
        :param good: whether it has been of use since it was found; its failures are forgotten then.
        """
        if self.state(index) is HostState.SERVING:
            self._serving -= 1
        else:
            del self._before[index]
        self._set(index, state)
        if state is not HostState.SILENT:
            self._heard.add(index)
        if good or state is HostState.FREE:
            self._failures[index] = 0
        self._reasons.pop(index, None)
        if state is HostState.FREE:
            self._free.append(index)
            return
        if reason and index in self._heard:
            self._reasons[index] = reason
        failures = self._failures[index] = min(self._failures[index] + 1, _MOST_FAILURES)
        self._push(index, self._backoff(index).delay_s(failures) * (1 - JITTER * self._chance()))

    def put_back(self, index: int) -> None:
        """A host could not be tried, for a reason that is not its own: all is as before."""
        state = self._before.pop(index)
        self._set(index, state)
        if state is HostState.FREE:
            self._free.append(index)
        else:
            self._push(index, 0.0)

    def state(self, index: int) -> HostState:
        return _STATES[self._states[index]]

    def reason(self, index: int) -> str:
        """Why it is in that state; empty where the state says all."""
        return self._reasons.get(index, "")

    def count(self, state: HostState) -> int:
        """Hosts that are in a state."""
        return self._states.count(_CODES[state])

    def records(self, *, every: bool = False) -> Iterator[HostRecord]:
        """What is known of the hosts, in their order.

        :param every: also of those that have never been heard of.
        """
        heaps = (self._known, self._silent) if every else (self._known,)
        dues = {_index(each): _due_s(each) for heap in heaps for each in heap}
        for index in range(self._count) if every else sorted(self._heard):
            yield self._record(index, dues.get(index))

    def record(self, index: int) -> HostRecord | None:
        """What is known of a host; ``None``: it has never been heard of."""
        if index not in self._heard:
            return None
        dues = (_due_s(each) for each in self._known if _index(each) == index)
        return self._record(index, next(dues, None))

    def _record(self, index: int, due_s: float | None) -> HostRecord:
        return HostRecord(
            index=index,
            state=self.state(index),
            failures=self._failures[index],
            reason=self.reason(index),
            next_try_s=None if due_s is None else max(0.0, due_s - self._clock()),
        )

    def _may_try(self, wanted: int) -> bool:
        promising = sum(state is HostState.FREE for state in self._before.values())
        return len(self._before) < self._concurrency and promising < wanted

    def _next(self) -> int | None:
        """One that is known to be there, or one of the rest, in turn as far as both have any."""
        known_first = self._turn_of_known
        self._turn_of_known = not known_first
        if known_first:
            found = self._due_known()
            return self._due_rest() if found is None else found
        found = self._due_rest()
        return self._due_known() if found is None else found

    def _due_known(self) -> int | None:
        return self._pop_due(self._known)

    def _due_rest(self) -> int | None:
        if self._cursor < self._count:
            self._cursor += 1
            return self._cursor - 1
        return self._pop_due(self._silent)

    def _pop_due(self, heap: list[int]) -> int | None:
        if heap and _due_s(heap[0]) <= self._clock():
            return _index(heapq.heappop(heap))
        return None

    def _backoff(self, index: int) -> Backoff:
        state = self.state(index)
        if state is HostState.SILENT and index in self._heard:
            state = HostState.LOST  # it may only be restarting
        return BACKOFFS[state]

    def _push(self, index: int, delay_s: float) -> None:
        heap = self._known if index in self._heard else self._silent
        heapq.heappush(heap, _packed(self._clock() + delay_s, index))

    def _set(self, index: int, state: HostState) -> None:
        self._states[index] = _CODES[state]


# Due time in ms and host in one integer, which takes a third of the memory of a tuple of both.


def _packed(due_s: float, index: int) -> int:
    return -int(-due_s * 1000 // 1) << 32 | index


def _due_s(packed: int) -> float:
    return (packed >> 32) / 1000


def _index(packed: int) -> int:
    return packed & 0xFFFFFFFF

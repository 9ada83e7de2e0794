"""Notices that the host's clock was set."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from taskgen.problems import Problems

log = logging.getLogger(__name__)

#: Seconds by which the clock must have been set to be worth a word: time servers correct less.
LEAST_JUMP_S = 1.0

#: Seconds for which people are told of a jump.
TOLD_S = 600.0

#: Seconds between two looks where the kernel does not tell.
LOOK_INTERVAL_S = 60.0

_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2

#: Never, s since the epoch, as far as the kernel can tell.
_FAR_AWAY = 2**33


class _Itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def offset_s() -> float:
    """The clock against one that nobody can set, and that goes on while the host sleeps."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


class ClockWatch:
    """Reports ``clock`` for a while when the clock was set.

    :param on_jump: called then: what depends on the time of day should be looked at again.
    :param offset: for tests.
    """

    def __init__(
        self,
        problems: Problems,
        on_jump: Callable[[], object],
        *,
        offset: Callable[[], float] = offset_s,
    ) -> None:
        self._problems = problems
        self._on_jump = on_jump
        self._offset = offset
        self._last = offset()
        self._clear: asyncio.TimerHandle | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notice it while in the block. Costs nothing meanwhile: the kernel tells. Where it cannot,
        the clock is looked at every :data:`LOOK_INTERVAL_S`.
        """
        try:
            noticing = self._told_by(_timer_that_ends_when_the_clock_is_set())
        except OSError as error:
            log.warning(
                "the kernel does not tell when the clock is set (%s): looks every %g s",
                error.strerror,
                LOOK_INTERVAL_S,
            )
            noticing = self._looking()
        try:
            with noticing:
                yield
        finally:
            if self._clear:
                self._clear.cancel()

    @contextmanager
    def _told_by(self, timer: int) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(timer, self._ended, timer)
            yield
        finally:
            loop.remove_reader(timer)
            os.close(timer)

    @contextmanager
    def _looking(self) -> Iterator[None]:
        next_look: asyncio.TimerHandle

        def later() -> None:
            nonlocal next_look
            next_look = asyncio.get_running_loop().call_later(LOOK_INTERVAL_S, look)

        def look() -> None:
            later()
            self.look()

        later()
        try:
            yield
        finally:
            next_look.cancel()

    def look(self) -> None:
        """Compare the clock with what it should be."""
        before, self._last = self._last, self._offset()
        jump_s = self._last - before
        if abs(jump_s) < LEAST_JUMP_S:
            return
        way = "forward" if jump_s > 0 else "back"
        self._problems.report(
            "clock",
            f"the clock was set {way} by {abs(jump_s):.1f} s",
            hint="times of runs before and after that do not compare; durations do",
        )
        if self._clear:
            self._clear.cancel()
        loop = asyncio.get_running_loop()
        self._clear = loop.call_later(TOLD_S, self._problems.clear, "clock")
        self._on_jump()

    def _ended(self, timer: int) -> None:
        try:
            os.read(timer, 8)
        except OSError as error:
            if error.errno not in (errno.ECANCELED, errno.EAGAIN):
                raise
        _arm(timer)
        self.look()


def _timer_that_ends_when_the_clock_is_set() -> int:
    """A descriptor that can be read then.

    :raises OSError: if the kernel has no such thing, or no more of them.
    """
    timer = _libc.timerfd_create(time.CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC)
    if timer < 0:
        raise _os_error()
    try:
        _arm(timer)
    except BaseException:
        os.close(timer)
        raise
    return int(timer)


def _arm(timer: int) -> None:
    when = _Itimerspec(0, 0, _FAR_AWAY, 0)
    flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
    if _libc.timerfd_settime(timer, flags, ctypes.byref(when), None) != 0:
        raise _os_error()


def _os_error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))

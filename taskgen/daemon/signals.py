"""What signals ask of the daemon."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


class Signals:
    """SIGTERM and SIGINT ask it to end, another SIGINT to end at once, SIGHUP to read its settings.

    :param on_reload: called for SIGHUP.
    :ivar stop: set once it is to end.
    :ivar at_once: whether it is not to wait for anything; the task that made this is cancelled
        then, as it is where the end comes before :meth:`started`.
    """

    def __init__(self, on_reload: Callable[[], object]) -> None:
        self.stop = asyncio.Event()
        self.at_once = False
        self._on_reload = on_reload
        self._task = asyncio.current_task()
        self._started = False
        self._cancelled = False

    def started(self) -> None:
        """From now on whoever waits for :attr:`stop` ends in good order."""
        self._started = True

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Signals are ours while in the block."""
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        for number in numbers:
            loop.add_signal_handler(number, self._came, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _came(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP:
            if self._started and not self.stop.is_set():
                self._on_reload()
            return
        again = self.stop.is_set()
        self.stop.set()
        at_once = not self._started or (again and number == signal.SIGINT)
        if not again or (at_once and not self._cancelled):
            log.info("%s: ends%s", number.name, " at once" if at_once else "")
        if at_once and not self._cancelled:
            self._cancelled, self.at_once = True, again
            if self._task:
                self._task.cancel()

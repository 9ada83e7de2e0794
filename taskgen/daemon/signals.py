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

    SIGUSR1 is a SIGTERM that keeps the machines running: a service manager that restarts the daemon
    knows that another one comes, and the daemon does not.

    :param on_reload: called for SIGHUP.
    :ivar stop: set once it is to end.
    :ivar keep: whether machines are to run on, whatever the settings say.
    :ivar at_once: whether it is not to wait for anything; the task that made this is cancelled
        then, as it is where the end comes before :meth:`started`, unless machines are kept.
    """

    def __init__(self, on_reload: Callable[[], object]) -> None:
        self.stop = asyncio.Event()
        self.keep = False
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
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
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
        self.keep = self.keep if again else number == signal.SIGUSR1
        self.stop.set()
        # A start is finished before machines are kept: those that it adopts just now would go.
        at_once = not (self._started or self.keep) or (again and number == signal.SIGINT)
        if not again or (at_once and not self._cancelled):
            log.info("%s: ends%s", number.name, " at once" if at_once else "")
        if at_once and not self._cancelled:
            self._cancelled, self.at_once = True, again
            if self._task:
                self._task.cancel()

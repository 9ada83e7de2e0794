"""What is not as it should be, as long as it is so: degraded states, for status and health."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """A degraded state.

    :ivar key: tells it from others, as in ``disk`` or ``dhcp``.
    :ivar text: what is wrong; one line.
    :ivar hint: what to do about it; ``None`` if nothing, or nothing is known.
    :ivar since: seconds since the epoch.
    :ivar fatal: whether no work can be done meanwhile.
    """

    key: str
    text: str
    hint: str | None
    since: float
    fatal: bool = False


class Problems:
    """The problems that there are now. Belongs to one event loop.

    Whoever notices one reports it, and whoever sees that it is over clears it.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._current: dict[str, Problem] = {}
        self._listeners: list[Callable[[str, Problem | None], object]] = []

    @property
    def current(self) -> tuple[Problem, ...]:
        """Those that there are, oldest first."""
        return tuple(self._current.values())

    def on_change(self, listener: Callable[[str, Problem | None], object]) -> None:
        """Call ``listener`` with the key and the problem; ``None``: it is over. Must not block."""
        self._listeners.append(listener)

    def report(self, key: str, text: str, *, hint: str | None = None, fatal: bool = False) -> None:
        """Something is wrong, or is wrong in another way than before."""
        known = self._current.get(key)
        if known and (known.text, known.hint, known.fatal) == (text, hint, fatal):
            return
        since = known.since if known else self._clock()
        self._current[key] = Problem(key, text, hint, since, fatal)
        log.warning("%s%s", text, f" ({hint})" if hint else "")
        self._tell(key)

    def clear(self, key: str) -> None:
        """What was wrong is so no more; nothing happens if nothing was."""
        if (gone := self._current.pop(key, None)) is not None:
            log.info("over: %s", gone.text)
            self._tell(key)

    def _tell(self, key: str) -> None:
        for listener in self._listeners:
            listener(key, self._current.get(key))

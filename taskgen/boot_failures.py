"""Boots that fail one after the other: when the next one is tried, and when that is no use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from taskgen.errors import MachineError, TaskgenError

log = logging.getLogger(__name__)

#: Boots that fail in a row, with no machine serving, before the fleet gives up: the image is at
#: fault then, or the host.
BOOT_FAILURES = 3

#: Seconds between two boots where one after the other fails.
LONGEST_REST_S = 60.0


class BootFailures:
    """Counts them.

    :param on_rested: called when the next boot may be tried.
    """

    def __init__(self, on_rested: Callable[[], object]) -> None:
        self.resting = False  #: no boot is to be tried for now
        self._in_a_row = 0
        self._on_rested = on_rested

    def reset(self) -> None:
        """A machine is ready."""
        self._in_a_row = 0

    def add(self, error: TaskgenError, *, hopeless: bool) -> None:
        """A boot has failed; no other is tried for a while.

        :param hopeless: no machine serves that would show that it can be done.
        :raises TaskgenError: the error, if it is hopeless and the last boots have all failed.
        """
        self._in_a_row += 1
        if self._in_a_row >= BOOT_FAILURES and hopeless:
            raise error
        rest_s = min(2.0**self._in_a_row, LONGEST_REST_S)
        told = error.with_console() if isinstance(error, MachineError) else str(error)
        log.warning("trying again in %d s: %s", rest_s, told)
        self.resting = True
        asyncio.get_running_loop().call_later(rest_s, self._rested)

    def _rested(self) -> None:
        self.resting = False
        self._on_rested()

"""The life of a machine: its states, and which may follow which. No I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum

from taskgen.errors import StateError

log = logging.getLogger(__name__)


class MachineState(StrEnum):
    """Where a machine is in its life."""

    NEW = "new"  # nothing was acquired yet
    LAUNCHING = "launching"  # its tap and its QEMU are being made
    BOOTING = "booting"  # QEMU runs; no AVAILABLE echo yet
    ADOPTING = "adopting"  # its QEMU was launched by an engine that is gone; taken over by us
    READY = "ready"  # can take a run
    RUNNING = "running"  # carries out a run
    FAILED = "failed"  # no further run; what it holds is not released yet
    STOPPING = "stopping"  # being stopped and cleaned up
    STOPPED = "stopped"  # nothing is left of it


TRANSITIONS: dict[MachineState, frozenset[MachineState]] = {
    MachineState.NEW: frozenset(
        {MachineState.LAUNCHING, MachineState.ADOPTING, MachineState.STOPPED}
    ),
    MachineState.LAUNCHING: frozenset(
        {MachineState.BOOTING, MachineState.FAILED, MachineState.STOPPING}
    ),
    MachineState.BOOTING: frozenset(
        {MachineState.READY, MachineState.FAILED, MachineState.STOPPING}
    ),
    MachineState.ADOPTING: frozenset(
        {MachineState.READY, MachineState.FAILED, MachineState.STOPPING}
    ),
    MachineState.READY: frozenset(
        {MachineState.RUNNING, MachineState.FAILED, MachineState.STOPPING}
    ),
    MachineState.RUNNING: frozenset(
        {MachineState.READY, MachineState.FAILED, MachineState.STOPPING}
    ),
    MachineState.FAILED: frozenset({MachineState.STOPPING}),
    MachineState.STOPPING: frozenset({MachineState.STOPPED}),
    MachineState.STOPPED: frozenset(),
}


class Lifecycle:
    """Holds the state of one machine.

    :param name: of the machine, for the log and for errors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._listeners: list[Callable[[], object]] = []
        self._state = MachineState.NEW

    @property
    def state(self) -> MachineState:
        return self._state

    def on_change(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` after each transition; it must not block."""
        self._listeners.append(listener)

    def to(self, state: MachineState) -> None:
        """Go to ``state``.

        :raises StateError: if the table has no such transition.
        """
        if state not in TRANSITIONS[self._state]:
            raise StateError(
                f"{self.name} cannot become {state}",
                state=self._state,
                required=" or ".join(s for s in MachineState if state in TRANSITIONS[s]),
            )
        log.debug("%s: %s -> %s", self.name, self._state, state)
        self._state = state
        for listener in self._listeners:
            listener()

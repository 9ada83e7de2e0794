"""Decides which machines to launch and which to retire. Pure: state in, actions out."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from taskgen.lifecycle import MachineState

#: States of a machine that will be able to take a run.
STARTING = frozenset({MachineState.NEW, MachineState.LAUNCHING, MachineState.BOOTING})
#: States of a machine that can take a run, now or next.
SERVING = frozenset({MachineState.ADOPTING, MachineState.READY, MachineState.RUNNING})


@dataclass(frozen=True, slots=True)
class Member:
    """What the plan needs to know of a machine.

    :ivar retiring: it was told to go once its run is through.
    """

    state: MachineState
    retiring: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """Start a machine in this slot."""

    slot: int


@dataclass(frozen=True, slots=True)
class Retire:
    """Let this slot's machine finish its run, then stop it."""

    slot: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """Stop this slot's machine, which is not ready yet: it is not wanted any more."""

    slot: int


Action = Launch | Retire | Abandon


def plan(
    *,
    limit: int,
    slots: int,
    backlog: int,
    boots_at_once: int,
    members: Mapping[int, Member],
    held: Collection[int] = (),
    again: Collection[int] = (),
) -> list[Action]:
    """What to do now.

    As many machines work as the limit, the network and the runs that are left allow. The lowest
    free slots are used first, the highest go first. A machine that serves is never retired merely
    because few runs are left: it ends when there is nothing more for it. One that is still starting
    is abandoned once those that serve are enough. A slot that is held empty stays so, and counts as
    a machine: else another one would come up in its place.

    :param limit: machines that the user wants at most; 0: none for now.
    :param slots: machines that the network can hold.
    :param backlog: runs that are not through yet, those that are being carried out included.
    :param boots_at_once: machines that may be starting at the same time.
    :param members: the machines that exist, by slot; a slot is free once its machine is gone.
    :param held: slots in which nothing is launched.
    :param again: slots whose machines are restarted, whatever the backlog is.
    """
    allowed = max(0, min(limit, slots) - len(held))
    kept = {slot: member.state for slot, member in members.items() if not member.retiring}
    starting = sorted(slot for slot, state in kept.items() if state in STARTING)
    serving = sorted(slot for slot, state in kept.items() if state in SERVING)
    excess = len(starting) + len(serving) - allowed
    if excess > 0:
        gone = sorted(starting + serving, reverse=True)[:excess]
        return [Abandon(slot) if slot in starting else Retire(slot) for slot in gone]
    needless = len(starting) + len(serving) - backlog
    spare = [slot for slot in starting if slot not in again]
    if needless > 0 and spare:
        return [Abandon(slot) for slot in spare[-needless:]]
    free = [slot for slot in range(1, slots + 1) if slot not in members and slot not in held]
    wanted = [slot for slot in free if slot in again]
    returning = [slot for slot in again if slot in members and slot not in kept]
    there = len(starting) + len(serving) + len(returning)
    room = max(0, min(allowed - there, boots_at_once - len(starting)))
    new = max(0, min(allowed, backlog) - there - len(wanted))
    others = (slot for slot in free if slot not in again)
    first = [*wanted, *itertools.islice(others, new)]
    return [Launch(slot) for slot in sorted(first[:room])]

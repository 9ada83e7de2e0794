"""Keeps as many machines as the plan says, each with a worker that serves it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from taskgen.errors import MachineError, TaskgenError
from taskgen.fleet import SERVING, STARTING, Abandon, Action, Launch, Member, Retire, plan
from taskgen.host.waiting import finish
from taskgen.interfaces import RunQueue, Target
from taskgen.lifecycle import MachineState
from taskgen.waiting import first_of, innermost

log = logging.getLogger(__name__)

#: Boots that fail in a row, with no machine serving, before the fleet gives up: the image is at
#: fault then, or the host.
BOOT_FAILURES = 3

#: Seconds between two boots where one after the other fails.
LONGEST_REST_S = 60.0


class PooledMachine(Target, Protocol):
    """A machine, as far as the pool deals with it."""

    @property
    def state(self) -> MachineState: ...

    async def start(self) -> None:
        """Launch it and wait until it is ready.

        :raises TaskgenError: if that fails; :meth:`stop` is still needed.
        """

    async def stop(self) -> None:
        """Stop it and release all that it holds, whatever state it is in."""


@dataclass(slots=True)
class _Member:
    machine: PooledMachine
    retire: asyncio.Event = field(default_factory=asyncio.Event)
    life: asyncio.Task[None] | None = None


class Pool:
    """The machines of one fleet.

    :param make: makes the machine of a slot; acquires nothing yet.
    :param serve: gives runs to a machine until it should go; the engine's.
    :param queue: says how many runs are left.
    :param profile: of the machines; only runs for it count.
    :param slots: machines that the network can hold.
    :param limit: machines wanted at most.
    :param boots_at_once: machines that may be starting at the same time.
    :param standing: stay when there is nothing to do, until :meth:`drain`.
    """

    def __init__(
        self,
        make: Callable[[int], PooledMachine],
        serve: Callable[[Target, asyncio.Event], Awaitable[None]],
        queue: RunQueue,
        *,
        profile: str,
        slots: int,
        limit: int,
        boots_at_once: int,
        standing: bool = False,
    ) -> None:
        self._make = make
        self._serve = serve
        self._queue = queue
        self._profile = profile
        self._slots = slots
        self._limit = limit
        self._boots_at_once = boots_at_once
        self._standing = standing
        self._members: dict[int, _Member] = {}
        self._replan = asyncio.Event()
        self._left = asyncio.Event()  # set, and made anew, whenever a machine is gone
        self._draining = False
        self._paused = False
        self._failures = 0  # boots that failed in a row
        self._resting = False  # after a failed boot, no other is tried at once

    @property
    def limit(self) -> int:
        """Machines wanted at most; may be set at any time."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"the number of machines must be at least 1, not {limit}")
        self._limit = limit
        self._replan.set()

    @property
    def machines(self) -> dict[int, PooledMachine]:
        """The machines that exist, by slot."""
        return {slot: member.machine for slot, member in self._members.items()}

    def drain(self) -> None:
        """Launch nothing more; machines that are not ready yet stop, others finish their run."""
        self._draining = True
        self._replan.set()

    def pause(self) -> None:
        """Let all machines go once their run is through, and launch none until :meth:`resume`."""
        self._paused = True
        for member in self._members.values():
            if member.machine.state in SERVING:  # else it might begin another run first
                member.retire.set()
        self._replan.set()

    def resume(self) -> None:
        """Launch machines again as there is work for them."""
        self._paused = False
        self._replan.set()

    def kill(self) -> None:
        """Stop all machines now, whatever they do: their runs go back to the queue."""
        for member in self._members.values():
            member.retire.set()
            if member.life and member.machine.state is not MachineState.NEW:
                member.life.cancel()

    async def emptied(self) -> None:
        """Wait until there is no machine any more."""
        while self._members:
            await self._left.wait()

    async def run(self) -> None:
        """Keep the fleet as planned until there is nothing left to do and all machines are gone.

        :raises TaskgenError: if boots keep failing and no machine serves, or a task-set fails to
            give its next variant.
        """
        try:
            async with asyncio.TaskGroup() as lives:
                while self._members or not self._finished:
                    self._replan.clear()
                    for action in self._plan():
                        self._carry_out(action, lives)
                    await first_of(self._replan.wait(), self._queue.changed())
        except* TaskgenError as group:
            raise innermost(group) from None

    @property
    def _backlog(self) -> int:
        return self._queue.backlog_for(self._profile)

    @property
    def _finished(self) -> bool:
        return self._draining or not (self._standing or self._backlog)

    def _plan(self) -> list[Action]:
        members = {
            slot: Member(member.machine.state, member.retire.is_set())
            for slot, member in self._members.items()
        }
        if self._draining:
            return [
                Abandon(slot) if member.state in STARTING else Retire(slot)
                for slot, member in members.items()
                if not member.retiring
            ]
        return plan(
            limit=0 if self._paused else self._limit,
            slots=self._slots,
            backlog=self._backlog,
            boots_at_once=0 if self._resting else self._boots_at_once,
            members=members,
        )

    def _carry_out(self, action: Action, lives: asyncio.TaskGroup) -> None:
        match action:
            case Launch(slot):
                member = self._members[slot] = _Member(self._make(slot))
                member.life = lives.create_task(self._live(slot, member), name=f"machine {slot}")
            case Retire(slot):
                self._members[slot].retire.set()
            case Abandon(slot):
                member = self._members[slot]
                member.retire.set()
                # One that has not begun to start sees that it should retire, and does not begin.
                if member.life and member.machine.state is not MachineState.NEW:
                    member.life.cancel()

    async def _live(self, slot: int, member: _Member) -> None:
        """One machine, from its launch to its end."""
        machine = member.machine
        try:
            if member.retire.is_set():
                return
            try:
                if await self._started(machine):
                    self._replan.set()  # another may boot
                    await self._serve(machine, member.retire)
            finally:
                await finish(machine.stop())
        finally:
            del self._members[slot]
            self._replan.set()
            self._left.set()
            self._left = asyncio.Event()

    async def _started(self, machine: PooledMachine) -> bool:
        """Whether the machine is ready; if not, no other is tried for a while.

        :raises TaskgenError: if no machine serves and the last boots all failed.
        """
        try:
            await machine.start()
        except TaskgenError as error:
            self._failed(error)
            return False
        self._failures = 0
        return True

    def _failed(self, error: TaskgenError) -> None:
        self._failures += 1
        serving = any(m.machine.state in SERVING for m in self._members.values())
        if self._failures >= BOOT_FAILURES and not serving:
            raise error
        rest_s = min(2.0**self._failures, LONGEST_REST_S)
        told = error.with_console() if isinstance(error, MachineError) else str(error)
        log.warning("trying again in %d s: %s", rest_s, told)
        self._resting = True
        asyncio.get_running_loop().call_later(rest_s, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._replan.set()

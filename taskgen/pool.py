"""Keeps as many machines as the plan says, each with a worker that serves it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from taskgen import collector, fleet
from taskgen.boot_failures import BootFailures
from taskgen.errors import HostError, StateError, TaskgenError, UnknownMachineError
from taskgen.fleet import STARTING, Abandon, Action, Launch, Retire
from taskgen.host.waiting import finish
from taskgen.interfaces import RunQueue, Target
from taskgen.lifecycle import MachineState
from taskgen.log_fields import log_fields
from taskgen.machine_info import HELD, MachineInfo, held
from taskgen.pool_member import Member, PooledMachine
from taskgen.room import Room
from taskgen.waiting import first_of, innermost

log = logging.getLogger(__name__)

#: Makes a machine ready.
Begin = Callable[[], Awaitable[None]]

#: Name of the machine, and what is to be told of it; ``None``: it is gone.
Listener = Callable[[str, MachineInfo | None], object]


class Pool:
    """The machines of one fleet.

    :param make: makes the machine of a slot; acquires nothing yet.
    :param serve: gives runs to a machine until it should go; the engine's.
    :param queue: says how many runs are left.
    :param profile: of the machines; only runs for it count.
    :param room: for how many machines there is room, whatever is wanted.
    :param limit: machines wanted at most.
    :param boots_at_once: machines that may be starting at the same time.
    :param standing: stay when there is nothing to do, until :meth:`drain`.
    :param keep: asked when a machine goes: whether it is left running, for the next engine.
    """

    def __init__(
        self,
        make: Callable[[int], PooledMachine],
        serve: Callable[[Target, asyncio.Event], Awaitable[None]],
        queue: RunQueue,
        *,
        profile: str,
        room: Room,
        limit: int,
        boots_at_once: int,
        standing: bool = False,
        keep: Callable[[], bool] = lambda: False,
    ) -> None:
        self._make = make
        self._serve = serve
        self._queue = queue
        self._profile = profile
        self._room = room
        self._limit = limit
        self._boots_at_once = boots_at_once
        self._standing = standing
        self._keep = keep
        self._members: dict[int, Member] = {}
        self._hold: set[int] = set()  # slots in which nothing is to be launched
        self._held: dict[int, MachineInfo] = {}  # those of them whose machine is gone
        self._again: set[int] = set()  # slots whose machine is to be launched anew
        self._listeners: list[Listener] = []
        self._replan = asyncio.Event()
        self._left = asyncio.Event()  # set, and made anew, whenever a machine is gone
        self._draining = False
        self._paused = False
        self._failures = BootFailures(self._replan.set)

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
    def room(self) -> Room:
        """For how many machines there is room; may be set at any time."""
        return self._room

    @room.setter
    def room(self, room: Room) -> None:
        self._room = room
        self._replan.set()

    @property
    def boots_at_once(self) -> int:
        """Machines that may be starting at the same time; may be set at any time."""
        return self._boots_at_once

    @boots_at_once.setter
    def boots_at_once(self, number: int) -> None:
        self._boots_at_once = number
        self._replan.set()

    @property
    def machines(self) -> dict[int, PooledMachine]:
        """The machines that exist, by slot."""
        return {slot: member.machine for slot, member in self._members.items()}

    @property
    def info(self) -> list[MachineInfo]:
        """The machines that exist and the slots that are held empty, by slot."""
        every = self._held | {slot: member.info for slot, member in self._members.items()}
        return [every[slot] for slot in sorted(every)]

    def on_change(self, listener: Listener) -> None:
        """Call ``listener`` with each machine that has changed; it must not block."""
        self._listeners.append(listener)

    def adopt(self, slot: int, machine: PooledMachine, begin: Begin) -> None:
        """Take over the machine of a slot, before :meth:`run`.

        :param begin: makes it ready. If that fails it is stopped, and another is launched where
            there is work for it.
        """
        self._members[slot] = Member(machine, begin, adopted=True)

    def drain(self) -> None:
        """Launch nothing more; machines that are not ready yet stop, others finish their run."""
        self._draining = True
        self._replan.set()

    def pause(self) -> None:
        """Let all machines go once their run is through, and launch none until :meth:`resume`."""
        self._paused = True
        for member in self._members.values():
            if member.serves:  # else it might begin another run first
                member.retire.set()
        self._replan.set()

    def resume(self) -> None:
        """Launch machines again as there is work for them."""
        self._paused = False
        self._replan.set()

    def kill(self) -> None:
        """Stop all machines now, whatever they do: their runs go back to the queue."""
        for member in self._members.values():
            member.end()

    def kill_machine(self, name: str) -> None:
        """Stop a machine now: its run goes back to the queue. Another comes if there is work.

        :raises UnknownMachineError: if there is none of this name.
        :raises StateError: if it was drained, and is gone already.
        """
        slot = self._slot(name)
        if slot not in self._members:
            raise StateError(f"{name} cannot be killed", state=HELD, required="any other")
        self._members[slot].end()

    def restart_machine(self, name: str) -> None:
        """Let a machine finish its run, and launch it anew; also one that was drained.

        :raises UnknownMachineError: if there is none of this name.
        """
        slot = self._slot(name)
        self._hold.discard(slot)
        self._again.add(slot)
        if self._held.pop(slot, None):
            self._tell(name, None)
        elif slot in self._members:
            self._members[slot].finish()
        self._replan.set()

    def drain_machine(self, name: str) -> None:
        """Let a machine finish its run and go; its slot stays empty until it is restarted.

        :raises UnknownMachineError: if there is none of this name.
        """
        slot = self._slot(name)
        self._hold.add(slot)
        self._again.discard(slot)
        if slot in self._members:
            self._members[slot].finish()

    def _slot(self, name: str) -> int:
        for info in self.info:
            if info.name == name:
                return info.slot
        raise UnknownMachineError(
            f"there is no machine {name!r}", hint="taskgen machine ls shows those that there are"
        )

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
                for slot, member in self._members.items():
                    self._begin(slot, member, lives)
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
            slot: fleet.Member(member.state, member.retire.is_set())
            for slot, member in self._members.items()
        }
        if self._draining:
            return [
                Abandon(slot)
                if member.state in (*STARTING, MachineState.ADOPTING)
                else Retire(slot)
                for slot, member in members.items()
                if not member.retiring
            ]
        return fleet.plan(
            limit=0 if self._paused else self._room.holds(self._limit),
            slots=self._room.slots,
            backlog=self._backlog,
            boots_at_once=0 if self._failures.resting else self._boots_at_once,
            members=members,
            held=self._hold,
            again=self._again,
        )

    def _carry_out(self, action: Action, lives: asyncio.TaskGroup) -> None:
        match action:
            case Launch(slot):
                machine = self._make(slot)
                member = self._members[slot] = Member(machine, machine.start)
                self._begin(slot, member, lives)
            case Retire(slot):
                self._members[slot].retire.set()
            case Abandon(slot):
                self._members[slot].end()

    def _begin(self, slot: int, member: Member, lives: asyncio.TaskGroup) -> None:
        member.machine.on_change(partial(self._changed, member))
        member.life = lives.create_task(self._live(slot, member), name=f"machine {slot}")

    async def _live(self, slot: int, member: Member) -> None:
        """One machine, from its launch to its end."""
        machine = member.machine
        try:
            if member.retire.is_set() and not member.adopted:
                return
            with log_fields(machine=machine.name):
                try:
                    if await self._started(slot, member):
                        self._replan.set()  # another may boot
                        await self._serve(machine, member.retire)
                finally:
                    await finish(machine.release() if self._keep() else machine.stop())
        finally:
            del self._members[slot]
            self._gone(slot, machine)

    def _gone(self, slot: int, machine: PooledMachine) -> None:
        if slot in self._hold:
            self._held[slot] = held(machine.info)
        self._tell(machine.name, self._held.get(slot))
        self._replan.set()
        self._left.set()
        self._left = asyncio.Event()

    async def _started(self, slot: int, member: Member) -> bool:
        """Whether the machine is ready; if not, no other is tried for a while.

        :raises TaskgenError: if no machine serves and the last boots all failed.
        """
        try:
            await member.begin()
        except (TaskgenError, OSError) as error:
            name = member.machine.name
            # Some step met a full disk, or the like: no reason for the whole fleet to end.
            failure = error if isinstance(error, TaskgenError) else HostError(f"{name}: {error}")
            if member.adopted:
                log.warning("%s is not adopted: %s", name, failure)
            else:
                self._again.discard(slot)
                hopeless = not any(each.serves for each in self._members.values())
                self._failures.add(failure, hopeless=hopeless)
            return False
        collector.tidy()
        if not member.adopted:
            self._again.discard(slot)
            self._failures.reset()
        return True

    def _changed(self, member: Member) -> None:
        state = member.machine.state
        if state is MachineState.FAILED:
            member.retire.set()  # nothing else tells one that waits for work
        if state is not MachineState.STOPPED:  # that it is gone is told when its slot is free
            self._tell(member.machine.name, member.info)

    def _tell(self, name: str, info: MachineInfo | None) -> None:
        for listener in self._listeners:
            listener(name, info)

"""A fleet on this host, everything real, put together.

An embedded one lives as long as the program. A daemon's may outlive it: its machines go on, and
the next daemon adopts them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from taskgen.daemon_settings import ConsoleSettings
from taskgen.engine import Engine
from taskgen.errors import PrivilegeError
from taskgen.host.accelerator import choose
from taskgen.host.accounts import account
from taskgen.host.capacity import capacity, placement
from taskgen.host.cleanup import sweep
from taskgen.host.command_lines import end_all, is_qemu
from taskgen.host.console_boots import Limits
from taskgen.host.console_keeping import Keeper, keeping
from taskgen.host.cores import check_cores, whole_cores
from taskgen.host.fleet_directory import FleetDirectory
from taskgen.host.fleet_network import FleetNetwork, fleet_network
from taskgen.host.limits import descriptors_needed, raise_descriptor_limit
from taskgen.host.memory import memory_for_machines_mb
from taskgen.host.origins import origins
from taskgen.host.process import find_program
from taskgen.host.qemu_command import overhead_mb
from taskgen.host.records import Kind, MachineRecord, state_root
from taskgen.host.snapshot_store import SnapshotStore
from taskgen.host.waiting import finish, in_thread
from taskgen.interfaces import RunQueue
from taskgen.load import Load
from taskgen.local_plan import FleetPlan
from taskgen.machine import Machine
from taskgen.machine_doctor import Dumps
from taskgen.machine_kind import MachineKind
from taskgen.machine_template import with_templates
from taskgen.pool import Pool
from taskgen.problems import Problems
from taskgen.room import Room
from taskgen.run_settings import SnapshotSettings

log = logging.getLogger(__name__)


class LocalFleet:
    """Network and machines of one fleet. Made by :func:`local_fleet`.

    :param keeper: bounds what machines say on their consoles once we are gone.
    :param left: what a dead daemon has left of machines.
    :param keep: asked when a machine goes: whether it is left running.
    :ivar memory_mb: as the setting ``fleet.memory_mb``; may be set at any time, and holds at the
        next :meth:`fit`.
    :ivar boot_concurrency: as the setting ``fleet.boot_concurrency``, likewise.
    :ivar load: what the machines that there are ask of the host.
    :ivar remarks: what should be known of as many machines as may be launched; for people.
    """

    def __init__(
        self,
        plan: FleetPlan,
        kind: MachineKind,
        network: FleetNetwork,
        directory: FleetDirectory,
        keeper: Keeper,
        *,
        left: Sequence[MachineRecord] = (),
        keep: Callable[[], bool] = lambda: False,
    ) -> None:
        self.plan = plan
        self.kind = kind
        self.network = network
        self.directory = directory
        self.left = tuple(left)
        self.memory_mb = plan.settings.fleet.memory_mb
        self.boot_concurrency = plan.settings.fleet.boot_concurrency
        self.load = Load(kind.demand, capacity())
        self.remarks: tuple[str, ...] = ()
        self._said: list[str] = []
        self._keep = keep
        self._keeper = keeper
        self._troubles: dict[int, Mapping[str, Any]] = {}
        self._by_tap: dict[str, Machine] = {}
        network.on_tap_gone(self._tap_gone)

    def machine(self, slot: int) -> Machine:
        """The machine of a slot; nothing is started yet."""
        place = self.network.network.slot(slot)
        made = Machine(
            *(place, self.kind, self.network, self.directory, self._troubles), load=self.load
        )
        self._by_tap[place.tap] = made
        return made

    @property
    def room(self) -> Room:
        """For how many machines there is room now.

        :raises HostError: if the host does not say what memory it has.
        """
        return Room(
            slots=self.network.network.slots,
            memory_mb=self.memory_mb or memory_for_machines_mb(),
            guest_mb=self.plan.profile.memory_mb,
            qemu_mb=overhead_mb(self.kind.accelerator),
        )

    @property
    def boots_at_once(self) -> int:
        """How many machines may be starting at the same time now."""
        # One boot keeps one core busy; more at once only make the first one late.
        return whole_cores() if self.boot_concurrency == "auto" else self.boot_concurrency

    def pool(self, engine: Engine, queue: RunQueue, *, limit: int, standing: bool = False) -> Pool:
        """Machines that work off ``queue``; first of all those that a dead daemon has left.

        :param limit: machines wanted at most.
        :param standing: stay when there is nothing to do.
        """
        pool = Pool(
            self.machine,
            engine.serve,
            queue,
            profile=self.plan.profile.name,
            room=self.room,
            limit=limit,
            boots_at_once=self.boots_at_once,
            standing=standing,
            keep=self._keep,
        )
        self.fit(pool)
        for record in self.left:
            machine = self.machine(record.slot)
            pool.adopt(record.slot, machine, partial(machine.adopt, record))
        self.left = ()
        return pool

    def fit(self, pool: Pool) -> None:
        """Give a pool the room and the boots at once that there are now, and its machines cores.

        Where that is too little the log says why, and so it does where machines will have to wait
        for each other.

        :raises HostError: if the host does not say what memory it has.
        """
        pool.boots_at_once = self.boots_at_once
        pool.room = self.room
        machines = pool.room.holds(pool.limit)
        self.load.change(capacity(), placement(self.plan.settings.qemu, self.kind.demand, machines))
        self.remarks = tuple(self.load.remarks(machines))
        reasons = [*pool.room.reasons(pool.limit), *self.remarks]
        for reason in reasons:
            if reason not in self._said:
                log.warning("%s", reason)
        self._said = reasons

    @property
    def snapshots(self) -> SnapshotStore:
        """Where states of machines are saved."""
        assert self.kind.snapshots, "a fleet has one"
        return self.kind.snapshots

    async def keep_snapshots(self, settings: SnapshotSettings) -> None:
        """Keep of saved states what these settings want, and no more.

        :raises OSError: if what is too much cannot be removed.
        """
        self.snapshots.limit_bytes = settings.limit_bytes
        await in_thread(None, self.snapshots.make_room)

    async def keep_consoles(self, settings: ConsoleSettings) -> None:
        """Keep of what consoles have said and say what these settings want, and no more."""
        self.directory.consoles.limits = _console_limits(settings, self.plan.kind)
        self._keeper.tell(self.directory.consoles.limits)
        await self.directory.consoles.tidy()

    def _tap_gone(self, tap: str) -> None:
        if machine := self._by_tap.get(tap):
            machine.tap_gone()


@asynccontextmanager
async def local_fleet(
    plan: FleetPlan,
    *,
    problems: Problems | None = None,
    keep: Callable[[], bool] = lambda: False,
) -> AsyncIterator[LocalFleet]:
    """A fleet while in the block; what dead embedded engines left is removed first.

    A dead daemon's fleet of the plan's name is adopted: :meth:`LocalFleet.pool` hands its machines
    to the pool. Those that no longer are what the plan says are ended and launched anew. As long as
    nobody has asked for the pool, an adopted fleet is left as it was found.

    :param problems: told what is not as it should be, as long as it is so.
    :param keep: asked when the block is left, and before when a machine goes: whether all is left
        running, for the next daemon.
    :raises SetupError: if the host or the input does not allow it; nothing is left then.
    """
    if os.geteuid() != 0:
        raise PrivilegeError("a fleet needs root", hint="sudo taskgen …")
    settings, profile = plan.settings, plan.profile
    network = plan.network()
    profile.image_files()
    check_cores(settings.qemu.cpu_sets, what="qemu.cpus")
    find_program(profile.emulator)
    account(settings.qemu.user)
    raise_descriptor_limit(descriptors_needed(network.slots, settings.hosts.concurrency))
    for line in (await in_thread(None, sweep)).removed:
        log.warning("a crashed engine had left this, and it is removed now: %s", line)
    verdict = await choose(profile, settings.qemu.accelerator, user=settings.qemu.user)
    snapshots = SnapshotStore(state_root() / "snapshots", settings.snapshots.limit_bytes)
    kind = MachineKind(
        profile=profile,
        accelerator=verdict.accelerator,
        binaries=plan.task_binaries(),
        user=settings.qemu.user,
        icount=plan.icount,
        reset=settings.run.reset,
        snapshots=snapshots,
        dumps=Dumps(state_root() / "dumps", settings.diagnosis.memory_dumps),
        provenance=await origins(profile),
    )
    if settings.snapshots.templates:
        kind = with_templates(kind, network)
    directory = await in_thread(None, plan.directory, network, undo=FleetDirectory.release)
    fleet: LocalFleet | None = None

    def stays() -> bool:
        untouched = directory.adopted and (fleet is None or bool(fleet.left))
        return keep() or untouched

    directory.consoles.limits = _console_limits(settings.console, plan.kind)
    problems = problems or Problems()
    directory.consoles.problems = snapshots.problems = problems
    try:
        left = directory.machine_records()
        async with (
            keeping(directory, problems, keep=stays) as keeper,
            fleet_network(
                network, directory, problems, server=settings.dhcp.server, keep=stays
            ) as made,
        ):
            fleet = LocalFleet(plan, kind, made, directory, keeper, left=left, keep=keep)
            try:
                yield fleet
            finally:
                if not stays():
                    await finish(in_thread(None, _end_machines, directory))
    finally:
        if kind.templates:
            kind.templates.close()
        if stays():
            directory.release()
        else:
            directory.close()


def _console_limits(settings: ConsoleSettings, kind: Kind) -> Limits:
    """Older boots are kept where somebody could read them: a daemon is asked for them."""
    boots = settings.boots if kind is Kind.DAEMON else 1
    return Limits(boot_bytes=int(settings.megabytes * 1e6), boots=boots)


def _end_machines(directory: FleetDirectory) -> None:
    """End the machines that nobody took over. Blocks."""
    records = directory.machine_records()
    uuids = [record.uuid for record in records]
    for line in end_all(lambda argv: is_qemu(argv, uuids)):
        log.warning("not adopted, so ended: %s", line)
    for record in records:
        directory.remove_machine(record.name)

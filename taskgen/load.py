"""What the machines of one fleet ask of the host, and whether that is more than it has. Pure.

A run is measured beside whatever machines there are while it lasts, those that boot too. So each
run has a :class:`Peak`, which remembers the most that there was at any time of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from taskgen.placement import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What the host has for machines; without bounds where nobody says.

    :ivar cores: on which threads may run.
    :ivar quota: how many cores' time a control group leaves of that.
    :ivar memory_mb: for all machines together, MiB.
    """

    cores: float = inf
    quota: float = inf
    memory_mb: float = inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one machine asks for.

    :ivar vcpus: threads that execute its guest.
    :ivar memory_mb: its guest's memory and what QEMU may need beside, MiB.
    """

    vcpus: int
    memory_mb: int


@dataclass(slots=True, eq=False)
class Peak:
    """The most that there was at any time since it was begun.

    :ivar vcpus: those of all machines.
    :ivar cores: that these had, at the least.
    """

    vcpus: int = 0
    cores: float = inf
    cpus_overcommitted: bool = False
    memory_overcommitted: bool = False


class Load:
    """The machines of one fleet, beside what the host has for them.

    :ivar demand: of each machine.
    :ivar placement: on which cores machines are to run; :meth:`change` sets another.
    """

    def __init__(
        self,
        demand: Demand,
        capacity: Capacity | None = None,
        placement: Placement | None = None,
    ) -> None:
        self.demand = demand
        self.placement = placement or Placement()
        self._capacity = capacity or Capacity()
        self._slots: set[int] = set()
        self._peaks: dict[int, Peak] = {}

    @property
    def cores(self) -> float:
        """How many cores' time machines have."""
        bound = self.placement.bound
        cores = self._capacity.cores if bound is None else len(bound)
        return min(cores, self._capacity.quota)

    def change(self, capacity: Capacity, placement: Placement) -> None:
        """The host has another capacity, and machines are to run elsewhere, from now on."""
        self._capacity, self.placement = capacity, placement
        self._note()

    def add(self, slot: int) -> None:
        """There is a machine in this slot, until :meth:`remove`."""
        self._slots.add(slot)
        self._note()

    def remove(self, slot: int) -> None:
        """There is no machine in this slot any more."""
        self._slots.discard(slot)
        self._peaks.pop(slot, None)

    def begin(self, slot: int) -> Peak:
        """Remember the most from now on, until the machine of this slot begins anew, or goes."""
        peak = self._peaks[slot] = Peak()
        self._note_for(peak)
        return peak

    def remarks(self, machines: int) -> list[str]:
        """What should be known where so many machines are launched; for people."""
        remarks = []
        vcpus, memory_mb = machines * self.demand.vcpus, machines * self.demand.memory_mb
        if vcpus > self.cores:
            remarks.append(
                f"{machines} machines have {vcpus} vCPUs and may use {self.cores:g} of the host's"
                " cores: they will wait for each other, and results are marked cpus_overcommitted"
            )
        if memory_mb > self._capacity.memory_mb:
            remarks.append(
                f"{machines} machines may take {memory_mb} MiB, and the host has"
                f" {self._capacity.memory_mb:.0f} MiB for them: results are marked"
                " memory_overcommitted"
            )
        return remarks + self.placement.remarks(machines)

    def _note(self) -> None:
        for peak in self._peaks.values():
            self._note_for(peak)

    def _note_for(self, peak: Peak) -> None:
        vcpus = len(self._slots) * self.demand.vcpus
        memory_mb = len(self._slots) * self.demand.memory_mb
        peak.vcpus = max(peak.vcpus, vcpus)
        peak.cores = min(peak.cores, self.cores)
        crowded = self.placement.crowded(self._slots, self.demand.vcpus)
        peak.cpus_overcommitted |= vcpus > self.cores or crowded
        peak.memory_overcommitted |= memory_mb > self._capacity.memory_mb

"""On which cores the vCPUs of each slot's machine run. Pure.

Only vCPUs are pinned. What else QEMU does, its network card above all, goes to whatever core is
free: on the vCPU's own it would interrupt the guest that is measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from taskgen.cpu_list import format_cpus

Cores = frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """A logical CPU of the host, and where it is.

    :ivar core: the same for the threads of one physical core, and for no others.
    :ivar node: its NUMA node, or its socket.
    """

    number: int
    core: int
    node: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    """A set of cores for each slot, from the first on.

    :ivar sets: empty: nothing is pinned.
    :ivar shared: slots behind the last set begin with the first again; else they are not pinned.
    """

    sets: tuple[Cores, ...] = ()
    shared: bool = False

    def of(self, slot: int) -> Cores | None:
        """The cores of a slot's machine; ``None``: the scheduler chooses."""
        index = slot - 1
        if self.shared and self.sets:
            index %= len(self.sets)
        return self.sets[index] if index < len(self.sets) else None

    @property
    def bound(self) -> Cores | None:
        """The cores that no machine leaves; ``None``: there may be machines that are not pinned."""
        return frozenset().union(*self.sets) if self.shared and self.sets else None

    def remarks(self, machines: int) -> list[str]:
        """What should be known where so many machines are launched; for people."""
        if self.bound is None or machines <= len(self.sets):
            return []
        sets = ", ".join(map(format_cpus, self.sets))
        return [
            f"{machines} machines share the {len(self.sets)} sets of cores of qemu.cpus: {sets}"
        ]

    def crowded(self, slots: Iterable[int], vcpus: int) -> bool:
        """Whether more vCPUs are pinned to some cores than these can run at the same time.

        :param slots: those that have a machine.
        :param vcpus: of each machine.
        """
        pinned = [cores for slot in slots if (cores := self.of(slot)) is not None]
        candidates = {*pinned, frozenset().union(*pinned)}
        return any(
            vcpus * sum(each <= cores for each in pinned) > len(cores) for cores in candidates
        )


def own_cores(cpus: Sequence[Cpu], vcpus: int, machines: int) -> Placement:
    """Cores of its own for each of so many machines; nothing is pinned if they do not fit.

    To pin two machines to one core would have them wait while another is idle, so all are left to
    the scheduler then. Each vCPU gets a physical core of its own if there are enough, and a machine
    stays within one NUMA node if that can be. The highest go first: the lowest have most
    of the host's interrupts.

    :param cpus: those that may be used.
    :param vcpus: of each machine.
    """
    whole: dict[int, Cpu] = {}
    for cpu in sorted(cpus, key=lambda each: each.number):
        whole.setdefault(cpu.core, cpu)
    for groups in (_nodes(whole.values()), _nodes(cpus), [_descending(cpus)]):
        sets = [cores for group in groups for cores in _chunks(group, vcpus)]
        if len(sets) >= machines:
            return Placement(tuple(sets))
    return Placement()


def _nodes(cpus: Iterable[Cpu]) -> list[list[Cpu]]:
    by_node: dict[int, list[Cpu]] = defaultdict(list)
    for cpu in _descending(cpus):
        by_node[cpu.node].append(cpu)
    return list(by_node.values())


def _descending(cpus: Iterable[Cpu]) -> list[Cpu]:
    """Threads of a core beside each other, so that they go to the same machine if that can be."""
    return sorted(cpus, key=lambda each: (each.node, each.core, each.number), reverse=True)


def _chunks(cpus: Sequence[Cpu], size: int) -> Iterable[Cores]:
    for start in range(0, len(cpus) - size + 1, size):
        yield frozenset(each.number for each in cpus[start : start + size])

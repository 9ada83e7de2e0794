"""What this host has for the machines of a fleet, and where they are to run on it."""

from __future__ import annotations

from math import inf

from taskgen.host.cores import allowed_cores, cpu_quota, topology
from taskgen.host.memory import memory_for_machines_mb
from taskgen.load import Capacity, Demand
from taskgen.placement import Placement, own_cores
from taskgen.settings import QemuSettings


def capacity() -> Capacity:
    """What there is for machines now.

    :raises HostError: if the host does not say what it has.
    """
    quota = cpu_quota()
    return Capacity(
        cores=len(allowed_cores()),
        quota=inf if quota is None else quota,
        memory_mb=memory_for_machines_mb(),
    )


def placement(settings: QemuSettings, demand: Demand, machines: int) -> Placement:
    """Where so many machines are to run."""
    if settings.cpus == "auto":
        return own_cores(topology(allowed_cores()), demand.vcpus, machines)
    return Placement(settings.cpu_sets, shared=True)

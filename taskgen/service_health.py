"""What a service tells people of its parts: what keeps them from working, and when that is over."""

from __future__ import annotations

from taskgen.fleet import SERVING
from taskgen.hosts import HostPool, HostStatus
from taskgen.machine_info import MachineInfo
from taskgen.pool import Pool
from taskgen.pool_keeper import PoolKeeper
from taskgen.problems import Problems
from taskgen.scan import HostState


def tell_when_well(
    keeper: PoolKeeper, *, machines: Pool | None = None, hosts: HostPool | None = None
) -> None:
    """What was wrong with a pool is over when one of its targets works."""

    def machine_changed(name: str, info: MachineInfo | None) -> None:
        if info and info.state in SERVING:
            keeper.well("machines")

    def host_changed(host: HostStatus) -> None:
        if host.state is HostState.SERVING:
            keeper.well("hosts")

    if machines:
        machines.on_change(machine_changed)
    if hosts:
        hosts.on_change(host_changed)


def tell_of_stall(problems: Problems, reason: str | None) -> None:
    """The queue waits for a disk, or does so no more (``None``)."""
    if reason is None:
        problems.clear("queue")
        return
    problems.report(
        "queue",
        f"nothing can be kept: {reason}",
        hint="make room on the disk; the work goes on by itself, and nothing is lost",
        fatal=True,
    )

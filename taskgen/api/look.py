"""What the service is and does now, as the API tells it."""

from __future__ import annotations

import os
from collections import Counter

from taskgen import __version__, resources
from taskgen.api import convert
from taskgen.api.context import Context
from taskgen.errors import UnknownMachineError
from taskgen.host.console_hub import ConsoleHub
from taskgen.host.console_log import ConsoleLog
from taskgen.host.waiting import in_thread
from taskgen.machine import Machine


def machines(context: Context) -> list[resources.Machine]:
    """The machines that exist, and the slots that are held empty, by slot."""
    pool = context.service.machines
    return [] if pool is None else [convert.machine(info) for info in pool.info]


def machine(context: Context, name: str) -> resources.Machine | None:
    """One of them; ``None``: there is none of this name."""
    return next((each for each in machines(context) if each.name == name), None)


def fleet(context: Context) -> resources.Fleet:
    """The fleet, and its limits."""
    service = context.service
    if service.machines is None or service.fleet is None:
        return resources.Fleet(
            max_machines=0,
            in_effect=0,
            slots=0,
            memory_room=0,
            paused=service.queue.paused,
            reasons=["no machines are launched here"],
            profile="",
            accelerator="",
            namespace="",
            bridge="",
            subnet="",
        )
    plan, network = service.fleet.network.network, service.fleet.network
    status = service.status
    return resources.Fleet(
        max_machines=status.max_machines,
        in_effect=status.machines_in_effect,
        slots=plan.slots,
        memory_room=service.machines.room.in_memory,
        host_cores=service.fleet.load.cores,
        machine_vcpus=service.fleet.load.demand.vcpus,
        paused=service.queue.paused,
        reasons=list(status.reasons),
        profile=service.fleet.kind.profile.name,
        accelerator=str(service.fleet.kind.accelerator),
        namespace=network.namespace.name,
        bridge=plan.bridge,
        subnet=str(plan.subnet),
    )


def hosts_by_state(context: Context) -> dict[str, int]:
    """Numbers of addresses of ranges by state."""
    hosts = context.service.hosts
    return {str(state): number for state, number in hosts.summary().items()} if hosts else {}


def degradations(context: Context) -> list[resources.Degradation]:
    """What is not as it should be."""
    return [convert.degradation(each) for each in context.problems.current]


async def status(context: Context) -> resources.Status:
    """The daemon at a glance."""
    queue, local = context.service.queue, context.service.fleet
    console_bytes = await in_thread(None, local.directory.consoles.used) if local else 0
    usage = await in_thread(None, local.snapshots.usage) if local else None
    return resources.Status(
        version=__version__,
        pid=os.getpid(),
        started_at=context.started_at,
        state=context.service.state,
        fleet=None if context.service.machines is None else fleet(context),
        machines=dict(Counter(each.state for each in machines(context))),
        hosts=hosts_by_state(context),
        counts=convert.counts(queue.open_counts),
        jobs=dict(queue.open_states),
        console_bytes=console_bytes,
        snapshots=convert.snapshots(usage) if usage else None,
        problems=degradations(context),
    )


def health(context: Context) -> resources.Health:
    """Whether the daemon can do its work."""
    fatal = any(each.fatal for each in context.problems.current)
    return resources.Health(healthy=not fatal, problems=degradations(context))


def console_hub(context: Context, name: str) -> ConsoleHub:
    """The serial line of a machine.

    :raises UnknownMachineError: if there is none of this name with a console now.
    """
    return _running(context, name).console_hub


def console_log(context: Context, name: str) -> ConsoleLog:
    """What is kept of a machine's console, also of one that is gone.

    :raises UnknownMachineError: if there has never been one of this name.
    """
    fleet = context.service.fleet
    found = fleet.directory.consoles.find(name) if fleet else None
    if found is None:
        raise UnknownMachineError(
            f"nothing is kept of the console of a machine {name!r}",
            hint="taskgen machine ls shows the machines that there are",
        )
    return found


def _running(context: Context, name: str) -> Machine:
    pool = context.service.machines
    for found in pool.machines.values() if pool else ():
        if found.name == name and isinstance(found, Machine) and found.info.pid is not None:
            return found
    raise UnknownMachineError(f"there is no machine {name!r} that has a console now")

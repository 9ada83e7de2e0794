"""Calls about the daemon itself, its machines and its hosts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from taskgen.client.call import Call, reads, text
from taskgen.client.calls.common import PAGE, path_of, refused
from taskgen.resources import (
    ConsoleBoot,
    Fleet,
    FleetChange,
    Health,
    Host,
    HostSummary,
    Lease,
    Machine,
    Page,
    Status,
)

# The daemon.


def status() -> Call[Status]:
    """The daemon at a glance."""
    return Call(method="GET", path="status", read=reads(Status))


def health() -> Call[Health]:
    """Whether the daemon can do its work."""
    return Call(method="GET", path="health", read=reads(Health), expected=frozenset({503}))


def config() -> Call[dict[str, Any]]:
    """The settings that the daemon works with."""
    return Call(method="GET", path="config", read=reads(dict[str, Any]))


def metrics() -> Call[str]:
    """The daemon's numbers, as Prometheus reads them."""
    return Call(method="GET", path="/metrics", read=text)


# The fleet.


def fleet() -> Call[Fleet]:
    """The machines that the daemon launches, and their limits."""
    return Call(method="GET", path="fleet", read=reads(Fleet))


def change_fleet(change: FleetChange) -> Call[Fleet]:
    """Change the limits of the fleet."""
    body = change.model_dump(exclude_unset=True)
    return Call(method="PATCH", path="fleet", read=reads(Fleet), body=body)


def set_max_machines(number: int) -> Call[Fleet]:
    """Launch so many machines at most. More than fit is kept as a wish.

    :raises ConfigError: if it is not a number that a fleet can have.
    """
    try:
        return change_fleet(FleetChange(max_machines=number))
    except ValidationError as error:
        raise refused(error) from error


def pause() -> Call[Fleet]:
    """Begin no run, and launch no machine, until :meth:`resume`."""
    return change_fleet(FleetChange(paused=True))


def resume() -> Call[Fleet]:
    """Launch machines and begin runs again."""
    return change_fleet(FleetChange(paused=False))


def machines(*, page: int = PAGE) -> Call[Page[Machine]]:
    """The machines of the fleet.

    :param page: how many are asked for at once.
    """
    return Call(method="GET", path="machines", read=reads(Page[Machine]), query={"limit": page})


def machine(name: str) -> Call[Machine]:
    """One machine."""
    return Call(method="GET", path=path_of("machines", name), read=reads(Machine))


def _to_machine(name: str, action: str) -> Call[Machine]:
    # Not repeatable: the machine that answers the second time may be another one.
    return Call(
        method="POST",
        path=path_of("machines", name, action),
        read=reads(Machine),
        repeatable=False,
    )


def restart_machine(name: str) -> Call[Machine]:
    """Let a machine finish its run, and launch it anew; also one that was drained."""
    return _to_machine(name, "restart")


def drain_machine(name: str) -> Call[Machine]:
    """Let a machine finish its run and go; its slot stays empty until it is restarted."""
    return _to_machine(name, "drain")


def kill_machine(name: str) -> Call[Machine]:
    """End a machine now; its run goes back to the queue, and another one may take its slot."""
    return _to_machine(name, "kill")


def machine_boots(name: str) -> Call[Page[ConsoleBoot]]:
    """The boots of a machine whose console is kept, oldest first; also of one that is gone."""
    return Call(
        method="GET", path=path_of("machines", name, "boots"), read=reads(Page[ConsoleBoot])
    )


def machine_log(
    name: str,
    *,
    lines: int | None = None,
    boot: int | None = None,
    since: float | None = None,
    until: float | None = None,
    after: str | None = None,
    timestamps: bool = False,
) -> Call[str]:
    """What a machine's console has printed; also of one that is gone.

    :param lines: only so many last ones; default: the daemon's choice, or all with ``since`` or
        ``until``.
    :param boot: number of a boot; 0 is the newest, -1 the one before. Default: the newest; all with
        ``since`` or ``until``.
    :param since: only what was printed at this time or later, in seconds since the epoch.
    :param until: nothing that was printed after it.
    :param after: ``BOOT:END`` of a line: what is behind it, in place of ``lines``, ``boot`` and
        ``since``.
    :param timestamps: with the time before each line.
    """
    query = {
        "lines": lines,
        "boot": boot,
        "since": since,
        "until": until,
        "after": after,
        "timestamps": timestamps or None,
    }
    return Call(method="GET", path=path_of("machines", name, "log"), read=text, query=query)


def console_lines(name: str, *, follow: bool = False, **choice: Any) -> Call[str]:
    """What a machine's console has printed, with the time of each line.

    :param follow: go on with what it prints: to the end of ``boot`` where one is named, else for
        ever, over all later boots.
    :param choice: parameters of :func:`machine_log`, but for ``timestamps``.
    """
    call = machine_log(name, **choice)
    return replace(call, query={**call.query, "format": "jsonl", "follow": follow or None})


def hosts(*, page: int = PAGE) -> Call[Page[Host]]:
    """The addresses in which the daemon looks for boards, as far as they were ever reached."""
    return Call(method="GET", path="hosts", read=reads(Page[Host]), query={"limit": page})


def hosts_summary() -> Call[HostSummary]:
    """Numbers of hosts by state, those included that were never reached."""
    return Call(method="GET", path="hosts/summary", read=reads(HostSummary))


def leases(*, page: int = PAGE) -> Call[Page[Lease]]:
    """The addresses that the DHCP server gave away."""
    return Call(method="GET", path="leases", read=reads(Page[Lease]), query={"limit": page})

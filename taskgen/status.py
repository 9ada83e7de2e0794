"""How an engine and its targets stand, for people and programs that ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taskgen.engine import Engine
from taskgen.errors import TaskgenError
from taskgen.hosts import HostPool
from taskgen.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How things stand.

    :ivar max_machines: as the user wished; 0 where none are launched.
    :ivar machines_in_effect: what network and memory can hold of that.
    :ivar reasons: why that is less, and what else is not as it should be; for people.
    :ivar machines: states of the machines, by name, and of slots that are held empty.
    :ivar hosts: number of hosts by state.
    :ivar handlers: what handlers missed or failed at; for people.
    """

    max_machines: int
    machines_in_effect: int
    reasons: tuple[str, ...]
    machines: Mapping[str, str]
    hosts: Mapping[str, int]
    handlers: tuple[str, ...]


def look(
    engine: Engine,
    machines: Pool | None,
    hosts: HostPool | None,
    *,
    failure: TaskgenError | None,
    remarks: Sequence[str] = (),
) -> Status:
    """The status now.

    :param remarks: what else should be known of the machines.
    :param failure: what ended the work, if something did.
    """
    wished = machines.limit if machines else 0
    fleet = machines.info if machines else []
    reasons = machines.room.reasons(wished) if machines else []
    reasons += remarks
    if failure:
        reasons.append(str(failure))
    reasons += [
        f"{name} is taken out for {rest_s:.0f} s, because runs fail on it"
        for name, rest_s in engine.resting.items()
    ]
    reasons += [f"{each.name}: {each.reason}" for each in fleet if each.reason]
    reasons += [
        f"{host.name}: {host.reason}" for host in (hosts.status() if hosts else ()) if host.reason
    ]
    return Status(
        max_machines=wished,
        machines_in_effect=machines.room.holds(wished) if machines else 0,
        reasons=tuple(reasons),
        machines={each.name: each.state for each in fleet},
        hosts={str(s): n for s, n in hosts.summary().items()} if hosts else {},
        handlers=tuple(d.report.lost for d in engine.audience.dispatchers if d.missed or d.failed),
    )

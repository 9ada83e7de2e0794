"""Our values as the API tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from taskgen import resources
from taskgen.events import model
from taskgen.frozen import thaw
from taskgen.host import leases
from taskgen.host.console_lines import Line
from taskgen.host.console_log import ConsoleLog
from taskgen.host.snapshot_store import Usage
from taskgen.hosts import HostStatus
from taskgen.interfaces import Counts, SessionSettings
from taskgen.machine_info import MachineInfo
from taskgen.problems import Problem
from taskgen.queue import Attempt, JobInfo
from taskgen.queue.values import RunInfo

T = TypeVar("T", bound=resources.Resource)


def _same_fields(kind: type[T]) -> Callable[[Any], T]:
    """Makes a resource of a value that has all of its fields under the same names."""
    names = tuple(kind.model_fields)
    return lambda value: kind.model_construct(**{name: getattr(value, name) for name in names})


_counts = _same_fields(resources.Counts)
_machine = _same_fields(resources.Machine)
_degradation = _same_fields(resources.Degradation)
_event = _same_fields(resources.RunEvent)
_activation = _same_fields(resources.Activation)


def counts(value: Counts) -> resources.Counts:
    return _counts(value)


def machine(info: MachineInfo) -> resources.Machine:
    return _machine(info).model_copy(update={"trouble": _diagnosis(info.trouble)})


def console_boots(log: ConsoleLog) -> list[resources.ConsoleBoot]:
    """The boots of a machine of which something is kept, oldest first. Blocks shortly."""
    found = []
    for boot in log.boots:
        end = log.end(boot)
        last_ns = log.last_output_ns(boot)
        found.append(
            resources.ConsoleBoot(
                number=boot.number,
                why=str(boot.why),
                began=boot.began,
                uuid=boot.uuid,
                running=log.is_open(boot),
                kept=max(0, end - boot.kept_from),
                dropped=boot.kept_from - boot.first,
                last_output=last_ns / 1e9 if last_ns else None,
            )
        )
    return found


def console_line(line: Line) -> resources.ConsoleLine:
    return resources.ConsoleLine(
        boot=line.boot,
        offset=line.offset,
        end=line.end,
        text=line.text,
        whole=line.whole,
        dropped=line.dropped,
        at=line.latest_ns / 1e9,
        not_before=None if line.earliest_ns is None else line.earliest_ns / 1e9,
    )


def snapshots(usage: Usage) -> resources.Snapshots:
    return resources.Snapshots(
        count=usage.snapshots, used_bytes=usage.size_bytes, limit_bytes=usage.limit_bytes
    )


def degradation(problem: Problem) -> resources.Degradation:
    return _degradation(problem)


def found_host(status: HostStatus) -> resources.Host:
    return resources.Host(
        address=status.address,
        name=status.name,
        state=str(status.state),
        failures=status.failures,
        reason=status.reason,
        next_try_s=status.next_try_s,
    )


def lease(value: leases.Lease, machine_name: str | None) -> resources.Lease:
    return resources.Lease(
        mac=value.mac, address=str(value.address), machine=machine_name, expires=value.expires
    )


def run_event(event: model.Event) -> resources.RunEvent:
    return _event(event)


def _session(settings: SessionSettings) -> resources.Session:
    return resources.Session(
        admission_control=_plain(settings.admission_control),
        duration_s=settings.duration_s,
        margin=settings.margin,
        slack_s=settings.slack_s,
    )


def job(info: JobInfo) -> resources.Job:
    return resources.Job(
        id=info.id,
        number=info.number,
        name=info.name,
        labels=dict(info.labels),
        priority=info.priority,
        profile=info.profile,
        tries=info.tries,
        repeat=info.repeat,
        offset=info.offset,
        session=_session(info.settings),
        state=str(info.state),
        error=info.error,
        counts=counts(info.counts),
        resumable=info.resumable,
        binaries=dict(info.binaries),
        provenance=_plain(info.provenance),
        added_at=info.added_at,
        ended_at=info.ended_at,
    )


def attempt(value: Attempt, *, details: bool = True) -> resources.Attempt:
    """An attempt that has ended.

    :param details: with activations, events and console.
    """
    outcome = value.outcome
    return resources.Attempt(
        sequence=value.sequence,
        run=value.run_id,
        job=value.job_id,
        position=value.position,
        variant=value.variant,
        attempt=value.attempt,
        parameters=_plain(value.parameters),
        target=outcome.target,
        failure=None if outcome.failure is None else str(outcome.failure),
        reason=outcome.reason,
        bad=value.bad,
        started_at=outcome.started_at,
        duration_s=outcome.duration_s,
        activations=[_activation(each) for each in outcome.activations] if details else [],
        events=[_event(each) for each in outcome.events] if details else [],
        console=outcome.console if details else "",
        diagnosis=_diagnosis(outcome.diagnosis),
        provenance=_plain(outcome.provenance),
    )


def run(info: RunInfo, *, details: bool = True) -> resources.Run:
    """A run.

    :param details: with activations, events and console of what came of it.
    """
    return resources.Run(
        id=info.id,
        job=info.job_id,
        position=info.position,
        variant=info.variant,
        attempt=info.attempt,
        state=str(info.state),
        target=info.target,
        parameters=_plain(info.parameters),
        ended=None if info.ended is None else attempt(info.ended, details=details),
        attempts=[attempt(each, details=False) for each in info.attempts],
    )


def _diagnosis(found: Mapping[str, Any] | None) -> resources.Diagnosis | None:
    return resources.Diagnosis(**found) if found else None


def _plain(value: Any) -> Any:
    """Frozen data as dictionaries and lists."""
    return None if value is None else thaw(value)

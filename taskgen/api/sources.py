"""Where the news come from: everything that changes tells the bulletin and the metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence, Set
from typing import Any

from taskgen.api import convert, look
from taskgen.api.context import Context
from taskgen.api.gauges import gauges
from taskgen.errors import TaskgenError, UnknownJobError
from taskgen.events.model import Event
from taskgen.host.leases import Lease
from taskgen.hosts import HostStatus
from taskgen.interfaces import Outcome, Run
from taskgen.lifecycle import MachineState
from taskgen.machine_info import MachineInfo
from taskgen.problems import Problem
from taskgen.resources import EventKind, Resource

log = logging.getLogger(__name__)

#: Seconds between two news of one job: of many changes the last one is told.
JOB_EVERY_S = 0.5

_BOOTING = frozenset({MachineState.LAUNCHING, MachineState.BOOTING})


def connect_sources(context: Context) -> None:
    """Have everything that changes told, until the end of the process."""
    service = context.service
    service.engine.audience.listen(RunNews(context))
    service.engine.audience.listen(context.metrics)
    service.queue.on_jobs_changed(JobNews(context).changed)
    machines = MachineNews(context)
    if service.machines is not None:
        service.machines.on_change(machines.changed)
    if service.fleet is not None:
        service.fleet.network.leases.on_change(machines.leased)
    if service.hosts is not None:
        service.hosts.on_change(HostNews(context).changed)
    service.wished.on_change(FleetNews(context).changed)
    context.problems.on_change(ProblemNews(context).changed)
    context.metrics.look_up(lambda: gauges(context))


def _data(resource: Resource) -> dict[str, Any]:
    return resource.model_dump(mode="json")


class RunNews:
    """What the engine tells of runs; see :class:`taskgen.audience.Listener`."""

    def __init__(self, context: Context) -> None:
        self._bulletin = context.bulletin
        self._engine = context.service.engine

    def on_start(self, run: Run) -> None:
        target = self._engine.target_of(run.id)
        self._bulletin.publish(EventKind.RUN_STARTED, {**_about(run), "target": target})

    def on_event(self, run: Run, event: Event) -> None:
        if self._bulletin.run_events_wanted:
            told = _data(convert.run_event(event))
            self._bulletin.publish(
                EventKind.RUN_EVENT, {"run": run.id, "job": run.job_id, "event": told}
            )

    def on_finish(self, run: Run) -> None:
        outcome = run.outcome
        if outcome is None:
            return
        failure = None if outcome.failure is None else str(outcome.failure)
        told = {"target": outcome.target, "failure": failure, "reason": outcome.reason}
        self._bulletin.publish(EventKind.RUN_FINISHED, {**_about(run), **told})

    def on_stop(self, run: Run, reason: str) -> None:
        self._bulletin.publish(EventKind.RUN_STOPPED, {**_about(run), "reason": reason})

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        self._bulletin.publish(EventKind.RUN_BAD, {**_about(run), "attempts": len(attempts)})


def _about(run: Run) -> dict[str, Any]:
    return {
        "run": run.id,
        "job": run.job_id,
        "position": int(run.id.rsplit("-", 2)[1]),
        "variant": run.variant.index,
        "attempt": run.attempt,
    }


class JobNews:
    """Tells of jobs that were added, changed or deleted, each at most every half second."""

    def __init__(self, context: Context) -> None:
        self._bulletin = context.bulletin
        self._queue = context.service.queue
        self._changed: set[str] = set()
        self._resting = False
        self._telling: asyncio.Task[None] | None = None

    def changed(self, job_ids: Set[str]) -> None:
        """These jobs have changed, and that is on the disk."""
        if not self._bulletin.wanted:
            self._bulletin.skip()
            return
        self._changed |= job_ids
        self._tell()

    def _tell(self) -> None:
        if self._changed and not self._resting:
            self._resting = True
            self._telling = asyncio.create_task(self._tell_all(), name="news of jobs")
            self._telling.add_done_callback(self._told)

    def _told(self, telling: asyncio.Task[None]) -> None:
        if not telling.cancelled() and (error := telling.exception()) is not None:
            log.error("jobs cannot be told of: %s", error, exc_info=error)
            self._bulletin.skip()
        telling.get_loop().call_later(JOB_EVERY_S, self._rested)

    def _rested(self) -> None:
        self._resting = False
        self._tell()

    async def _tell_all(self) -> None:
        changed, self._changed = self._changed, set()
        for job_id in sorted(changed):
            try:
                info = await self._queue.job(job_id)
            except UnknownJobError:
                self._bulletin.publish(EventKind.JOB_GONE, {"id": job_id})
            except TaskgenError as error:  # the queue is closed or broken, and says so itself
                log.debug("job %s cannot be told of: %s", job_id, error)
                self._bulletin.skip()
            else:
                self._bulletin.publish(EventKind.JOB, _data(convert.job(info)))


class MachineNews:
    """Tells of machines and their leases, and counts how they boot."""

    def __init__(self, context: Context) -> None:
        self._bulletin = context.bulletin
        self._metrics = context.metrics
        self._known: dict[str, MachineInfo] = {}

    def changed(self, name: str, info: MachineInfo | None) -> None:
        """A machine has changed, or is gone."""
        before = self._known.pop(name, None)
        if info is None:
            reason = before.reason if before else ""
            self._bulletin.publish(EventKind.MACHINE_GONE, {"name": name, "reason": reason})
            return
        self._known[name] = info
        if before is not None and before.state in _BOOTING and info.state not in _BOOTING:
            self._booted(info)
        if self._bulletin.wanted:
            self._bulletin.publish(EventKind.MACHINE, _data(convert.machine(info)))
        else:
            self._bulletin.skip()

    def leased(self, lease: Lease) -> None:
        """A lease is new or changed."""
        machine = next((each for each in self._known.values() if each.mac == lease.mac), None)
        if machine and machine.launched_at and machine.state in _BOOTING:
            self._metrics.lease_s.observe(max(0.0, time.time() - machine.launched_at))
        told = convert.lease(lease, machine.name if machine else None)
        self._bulletin.publish(EventKind.LEASE, _data(told))

    def _booted(self, info: MachineInfo) -> None:
        if info.state == MachineState.READY:
            self._metrics.boots.labels("ready").inc()
            if info.ready_s is not None:
                self._metrics.boot_s.observe(info.ready_s)
        elif info.state == MachineState.FAILED or not info.retiring:
            self._metrics.boots.labels("failed").inc()


class FleetNews:
    """Tells of the fleet's limits."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def changed(self) -> None:
        """Users have changed them, or the settings have."""
        self._context.bulletin.publish(EventKind.FLEET, _data(look.fleet(self._context)))


class HostNews:
    """Tells of hosts that have ever answered."""

    def __init__(self, context: Context) -> None:
        self._bulletin = context.bulletin

    def changed(self, status: HostStatus) -> None:
        """A host has another state."""
        self._bulletin.publish(EventKind.HOST, _data(convert.found_host(status)))


class ProblemNews:
    """Tells of what is not as it should be."""

    def __init__(self, context: Context) -> None:
        self._bulletin = context.bulletin

    def changed(self, key: str, problem: Problem | None) -> None:
        """A degraded state has begun, has changed, or is over."""
        if problem is None:
            self._bulletin.publish(EventKind.PROBLEM_GONE, {"key": key})
        else:
            self._bulletin.publish(EventKind.PROBLEM, _data(convert.degradation(problem)))

"""The numbers that are looked up when somebody asks for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from taskgen import __version__
from taskgen.api.context import Context
from taskgen.api.look import fleet, hosts_by_state, machines


def gauges(context: Context) -> Iterator[Metric]:
    """The state of everything, now."""
    service = context.service
    yield _one("info", "The daemon; always 1.", {(__version__,): 1}, ["version"])
    yield _one("start_time_seconds", "When the daemon was started.", {(): context.started_at})
    states = Counter((machine.state,) for machine in machines(context))
    yield _one("machines", "Machines by state.", states, ["state"])
    told = fleet(context)
    yield _one("machines_wished", "Machines that users want at most.", {(): told.max_machines})
    yield _one("machines_in_effect", "What can be had of that.", {(): told.in_effect})
    yield _one("paused", "1 while no run is begun.", {(): int(service.queue.paused)})
    by_state = {(state,): number for state, number in hosts_by_state(context).items()}
    yield _one("hosts", "Addresses of ranges by state.", by_state, ["state"])
    jobs = {(state,): number for state, number in service.queue.open_states.items()}
    yield _one("jobs", "Jobs that have not ended, by state.", jobs, ["state"])
    yield _one("queue_depth", "Runs that are not through and need a target, as far as they can"
               " be counted.", {(): service.queue.backlog})  # fmt: skip
    yield _one("runs_running", "Runs that targets carry out now.",
               {(): service.queue.counts.running})  # fmt: skip
    problems = {(each.key,): 1 for each in context.problems.current}
    yield _one("problems", "1 for each degraded state.", problems, ["key"])
    yield _one("event_subscribers", "Clients that listen to events.",
               {(): context.bulletin.subscribers})  # fmt: skip
    yield from _handlers(context)


def _handlers(context: Context) -> Iterable[Metric]:
    reports = [each.report for each in context.service.engine.audience.dispatchers]
    waiting, missed, failed = Counter[str](), Counter[str](), Counter[str]()
    for report in reports:  # several may have one name
        waiting[report.name] += report.waiting
        missed[report.name] += sum(report.missed.values())
        failed[report.name] += report.failed
    yield _by_handler("handler_backlog", "Calls that wait for a handler.", waiting)
    for name, text, counts in (
        ("handler_missed", "Calls that a handler did not get.", missed),
        ("handler_failed", "Calls in which a handler raised.", failed),
    ):
        family = CounterMetricFamily(f"taskgen_{name}", text, labels=["handler"])
        for handler, count in counts.items():
            family.add_metric([handler], count)
        yield family


def _by_handler(name: str, text: str, counts: Mapping[str, int]) -> Metric:
    return _one(name, text, {(key,): value for key, value in counts.items()}, ["handler"])


def _one(
    name: str,
    text: str,
    values: Mapping[Any, float],
    labels: list[str] | None = None,
) -> Metric:
    """A gauge: its values by their labels."""
    family = GaugeMetricFamily(f"taskgen_{name}", text, labels=labels or [])
    for key, value in values.items():
        family.add_metric(list(key), value)
    return family

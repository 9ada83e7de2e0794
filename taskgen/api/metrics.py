"""The daemon's numbers, for Prometheus. docs/api.md lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from taskgen.events.model import Event
from taskgen.interfaces import Outcome, Run

CONTENT_TYPE = CONTENT_TYPE_LATEST

# They double the counters, and tell nothing that anybody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

_BOOT_S = (0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60, 120, 300)
_RUN_S = (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600)
_LEASE_S = (0.1, 0.5, 1, 2, 3, 5, 8, 13, 20, 30, 60)
_REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Metrics:
    """What is counted as it happens, and what is looked up when somebody asks.

    A listener of the engine, see :class:`taskgen.audience.Listener`.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector("taskgen", registry=registry)
        self.boots = Counter(
            "taskgen_boots",
            "Machines that were launched, by what came of it.",
            ["outcome"],
            registry=registry,
        )
        self.boot_s = Histogram(
            "taskgen_boot_seconds",
            "From a machine's launch to its first answer.",
            buckets=_BOOT_S,
            registry=registry,
        )
        self.lease_s = Histogram(
            "taskgen_lease_wait_seconds",
            "From a machine's launch to its DHCP lease.",
            buckets=_LEASE_S,
            registry=registry,
        )
        self._runs = Counter(
            "taskgen_runs",
            "Attempts at runs, by outcome and class of failure.",
            ["outcome", "failure"],
            registry=registry,
        )
        self._run_s = Histogram(
            "taskgen_run_seconds",
            "How long runs took that have a result.",
            buckets=_RUN_S,
            registry=registry,
        )
        self._bad = Counter(
            "taskgen_bad_variants", "Variants that were given up.", registry=registry
        )
        self.requests = Counter(
            "taskgen_api_requests",
            "Requests, by operation and status.",
            ["operation", "status"],
            registry=registry,
        )
        self.request_s = Histogram(
            "taskgen_api_request_seconds", "How long requests took, but for event streams.",
            buckets=_REQUEST_S, registry=registry,
        )  # fmt: skip
        # Looking a label up costs more than counting.
        self._results = self._runs.labels("result", "")
        self._stopped = self._runs.labels("stopped", "")

    def look_up(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Have ``collect`` called for each scrape."""
        self.registry.register(_Looked(collect))

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)

    def on_start(self, run: Run) -> None:
        """Nothing is counted before it has ended."""

    def on_event(self, run: Run, event: Event) -> None:
        """Single events are not counted."""

    def on_finish(self, run: Run) -> None:
        outcome = run.outcome
        if outcome is None:
            return
        if outcome.failure is None:
            self._results.inc()
            self._run_s.observe(outcome.duration_s)
        else:
            self._runs.labels("failed", str(outcome.failure)).inc()

    def on_stop(self, run: Run, reason: str) -> None:
        self._stopped.inc()

    def on_bad(self, run: Run, attempts: Sequence[Outcome]) -> None:
        self._bad.inc()


class _Looked(Collector):
    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand, so that registering it looks nothing up."""
        return ()

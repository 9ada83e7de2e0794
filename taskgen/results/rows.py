"""The columns of a result: one row for each activation, the same in every format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from taskgen.events.model import Activation
from taskgen.interfaces import Run
from taskgen.provenance import Provenance

#: What a row says of its run; docs/results.md explains all columns.
RUN_COLUMNS = ("run_id", "job_id", "variant", "attempt", "target", "result", "started_at")

#: What it says of the activation. Times: µs on the guest's clock, 0 at START.
ACTIVATION_COLUMNS = (
    "task_id",
    "pkg",
    "activation",
    "release_us",
    "start_us",
    "end_us",
    "deadline_us",
    "cpu_us",
    "response_us",
    "missed",
    "exit",
)

#: What it says of the conditions of the run; see :class:`taskgen.provenance.Provenance`.
PROVENANCE_COLUMNS = (
    "schema",
    "taskgen",
    "taskset",
    "taskset_sha256",
    "description_sha256",
    "seed",
    "profile",
    "accelerator",
    "emulated",
    "icount",
    "qemu",
    "image_sha256",
    "binaries",
    "host",
    "runs_since_boot",
    "host_cores",
    "fleet_vcpus",
    "cpus_overcommitted",
    "memory_overcommitted",
    "pinned_cpus",
    "vcpu_wait_ms",
    "host_steal_share",
)

#: All of them. ``rows`` is how many rows the run has: fewer means that it was not written whole.
COLUMNS = (*RUN_COLUMNS, *ACTIVATION_COLUMNS, "rows", *PROVENANCE_COLUMNS)


def result_of(run: Run) -> str:
    """``ok``, or the class of the failure."""
    assert run.outcome is not None
    return "ok" if run.outcome.failure is None else str(run.outcome.failure)


def run_cells(run: Run) -> tuple[Any, ...]:
    """The values of :data:`RUN_COLUMNS`."""
    assert run.outcome is not None
    return (
        run.id,
        run.job_id,
        run.variant.index,
        run.attempt,
        run.outcome.target,
        result_of(run),
        run.outcome.started_at,
    )


def activation_cells(activation: Activation) -> tuple[Any, ...]:
    """The values of :data:`ACTIVATION_COLUMNS`; ``None`` is what nobody can say."""
    return (
        activation.task_id,
        activation.pkg,
        activation.number,
        activation.release_us,
        activation.start_us,
        activation.end_us,
        activation.deadline_us,
        activation.cpu_us,
        activation.response_us,
        activation.missed,
        str(activation.exit),
    )


def provenance_cells(provenance: Provenance) -> tuple[Any, ...]:
    """The values of :data:`PROVENANCE_COLUMNS`."""
    return tuple(
        binaries_text(provenance.binaries) if name == "binaries" else getattr(provenance, name)
        for name in PROVENANCE_COLUMNS
    )


def binaries_text(binaries: Mapping[str, str]) -> str:
    """The hashes of the task binaries in one cell: ``hey=2c26… pi=fcde…``, sorted by name."""
    return " ".join(f"{name}={digest}" for name, digest in sorted(binaries.items()))


def rows(run: Run) -> Iterator[Sequence[Any]]:
    """The rows of a run that has ended, in the order of :data:`COLUMNS`."""
    assert run.outcome is not None
    activations = run.outcome.activations
    head = run_cells(run)
    tail = (len(activations), *provenance_cells(Provenance.of(run)))
    for activation in activations:
        yield (*head, *activation_cells(activation), *tail)

"""Short ways to make the values that unit tests need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from taskgen.events.model import Activation, Event
from taskgen.interfaces import FailureClass, Outcome, Run, SessionSettings


def task(number: int = 1, **keys: Any) -> dict[str, Any]:
    """A task with every key that the tracker looks at."""
    defaults = {"pkg": "hey", "numberofjobs": 1, "period": 100, "offset": 0, "criticaltime": 0}
    return {"id": number, **defaults, **keys}


def event(kind: str, task_id: int = 1, at_us: int = 0, **keys: Any) -> Event:
    """An event of a guest that tells microseconds."""
    return Event(type=kind, task_id=task_id, time_stamp_ms=at_us // 1000, time_us=at_us, **keys)


@dataclass(frozen=True)
class FakeVariant:
    """A variant with nothing behind it."""

    index: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tasks: tuple[Mapping[str, Any], ...] = (task(),)

    def description(self) -> bytes:
        return b"<taskset></taskset>"


@dataclass(frozen=True)
class FakeVariants:
    """So many variants."""

    count: int | None = 3
    length: int = 3

    def __iter__(self) -> Any:
        return (FakeVariant(index) for index in range(self.length))


def run(index: int = 0, attempt: int = 1, **keys: Any) -> Run:
    return Run(
        id=f"job-{index}-{attempt}",
        job_id="job",
        variant=keys.pop("variant", FakeVariant(index)),
        attempt=attempt,
        settings=SessionSettings(),
        **keys,
    )


def outcome(failure: FailureClass | None = None, **keys: Any) -> Outcome:
    begun = {"target": "taskgen-1", "started_at": 1.0}
    return Outcome(failure=failure, **begun | keys)


def activation(**keys: Any) -> Activation:
    values: dict[str, Any] = {
        "task_id": 1,
        "pkg": "hey",
        "number": 1,
        "release_us": 100_000,
        "start_us": 100_050,
        "end_us": 101_000,
        "deadline_us": 200_000,
        "cpu_us": 900,
        "exit": "EXIT",
    }
    return Activation(**{**values, **keys})


#: The conditions of a run as a machine tells them.
CONDITIONS: Mapping[str, Any] = {
    "taskgen": "0.1.0",
    "profile": "linux-x86_64",
    "accelerator": "tcg",
    "icount": False,
    "qemu": "7.2.22",
    "image_sha256": "cd" * 32,
    "binaries": {"pi": "5678", "hey": "1234"},
    "host": "lab-1",
    "runs_since_boot": 4,
    "host_cores": 2.0,
    "fleet_vcpus": 3,
    "cpus_overcommitted": True,
    "memory_overcommitted": False,
    "pinned_cpus": "0-1",
    "vcpu_wait_ms": 12.5,
    "host_steal_share": 0.25,
    "reset": "clear",
}


def finished(
    index: int = 0,
    attempt: int = 1,
    parameters: Mapping[str, Any] | None = None,
    failure: FailureClass | None = None,
    activations: int = 2,
    **keys: Any,
) -> Run:
    """A run that has ended, with so many activations and all that is told of its conditions."""
    told = run(
        index,
        attempt,
        variant=FakeVariant(index, parameters or {}),
        provenance={"taskset": "Fake", "taskset_sha256": "ab" * 32, "seed": 7},
        outcome=outcome(
            failure,
            activations=tuple(activation(number=n + 1) for n in range(activations)),
            started_at=1_700_000_000.25,
            duration_s=0.5,
            provenance=CONDITIONS,
        ),
    )
    return replace(told, **keys)

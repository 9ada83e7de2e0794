"""Which runs of a queue's database are wanted, read in bounded memory. Blocks."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from taskgen.errors import ConfigError, UnknownJobError
from taskgen.interfaces import FailureClass, Run
from taskgen.queue.reader import Reading
from taskgen.queue.rows import Row, attempt_of, settings_of
from taskgen.queue.values import Attempt

#: Rows, and bytes, that are read at once.
PAGE = 200
PAGE_BYTES = 2 * 2**20

#: What ``failure`` can be beside a class: only results; only failed attempts, of whatever class.
OK, ANY = "ok", "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Runs that have ended: those for which all of this is true.

    :ivar job: of the job with this id.
    :ivar labels: of jobs that have all of these, with these values.
    :ivar target: on this machine or board.
    :ivar failure: ``ok``: those with a result; ``any``: those without; or a class of failures.
    :ivar since: started at that time or later: seconds since the epoch.
    :ivar until: started before that time.
    :ivar first: of this variant of their task-set, or one behind it.
    :ivar last: of a variant up to this one.
    :raises ConfigError: if there is no such class of failures.
    """

    job: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    failure: str | None = None
    since: float | None = None
    until: float | None = None
    first: int | None = None
    last: int | None = None

    def __post_init__(self) -> None:
        known = (OK, ANY, *FailureClass)
        if self.failure is not None and self.failure not in known:
            raise ConfigError(
                f"failure = {self.failure!r}: there is no such class",
                hint=f"one of {', '.join(map(str, known))}",
            )

    @property
    def wanted(self) -> dict[str, Any]:
        """Parameters of the statements that read attempts."""
        return {
            "target": self.target,
            "failure": None if self.failure == ANY else self.failure,
            "since": self.since,
            "until": self.until,
            "first": self.first,
            "last": self.last,
        }


@dataclass(frozen=True, slots=True)
class KeptVariant:
    """A variant of which only the values are known.

    :ivar tasks: none: they were not kept.
    """

    index: int
    parameters: Mapping[str, Any]
    tasks: tuple[Mapping[str, Any], ...] = ()

    def description(self) -> bytes:
        """Empty: it was not kept."""
        return b""


def check(reading: Reading, selection: Selection) -> None:
    """Find out whether what is asked for can be there.

    :raises UnknownJobError: if there is no such job.
    """
    if selection.job is not None:
        with reading.snapshot():
            if not reading.rows("job_info", (selection.job,)):
                raise UnknownJobError(f"job {selection.job}: there is no such job")


def selected(reading: Reading, selection: Selection) -> Iterator[Run]:
    """The runs, job by job, by variant and attempt; each as its handlers were told it.

    What is added meanwhile may be among them.

    :raises QueueError: if the database cannot be read.
    """
    for job in _jobs(reading, selection):
        for row in _attempts(reading, selection, job["number"], PAGE):
            with reading.snapshot():
                run = _run(reading, job, row)
            yield run


def parameter_names(reading: Reading, selection: Selection) -> list[str]:
    """The names of the values that vary in what is selected, in the order of the jobs."""
    names: dict[str, None] = {}
    for job in _jobs(reading, selection):
        row = next(_attempts(reading, selection, job["number"], 1), None)
        if row is None:
            continue
        with reading.snapshot():
            if row["parameters"] is None:  # the document tells, and all variants have the same
                names.update(dict.fromkeys(_run(reading, job, row).variant.parameters))
            else:
                found = reading.rows("export_parameters", {"job": job["number"]})
                names.update(dict.fromkeys(each["name"] for each in found))
    return list(names)


def _jobs(reading: Reading, selection: Selection) -> Iterator[Row]:
    wanted: dict[str, Any] = {
        "id": selection.job,
        "labels": json.dumps(dict(selection.labels)),
        "after": 0,
        "limit": PAGE,
    }
    while True:
        with reading.snapshot():
            page = reading.rows("export_jobs", wanted)
        yield from page
        if not page:
            return
        wanted["after"] = page[-1]["number"]


def _attempts(reading: Reading, selection: Selection, job: int, page: int) -> Iterator[Row]:
    """The rows of a job by position and attempt: its results and its failures, each by an index."""
    parts = []
    if selection.failure in (None, OK):
        parts.append(_pages(reading, "export_results", selection, job, page))
    if selection.failure != OK:
        parts.append(_pages(reading, "export_failures", selection, job, page))
    return heapq.merge(*parts, key=_place)


def _pages(
    reading: Reading, statement: str, selection: Selection, job: int, page: int
) -> Iterator[Row]:
    wanted = {**selection.wanted, "job": job, "position": -1, "attempt": 0, "limit": page}
    if statement == "export_results":
        del wanted["failure"], wanted["attempt"]
    while True:
        left = PAGE_BYTES

        def enough(row: Row) -> bool:
            nonlocal left
            left -= sum(len(row[name] or "") for name in ("activations", "events", "console"))
            return left <= 0

        with reading.snapshot():
            rows = reading.rows(statement, wanted, enough)
        yield from rows
        if not rows:
            return
        wanted["position"] = rows[-1]["position"]
        if "attempt" in wanted:
            wanted["attempt"] = rows[-1]["attempt"]


def _place(row: Row) -> tuple[int, int]:
    return row["position"], row["attempt"]


def _run(reading: Reading, job: Row, row: Row) -> Run:
    """An attempt as the run that it was."""
    attempt = attempt_of({**row, "job_id": job["id"]})
    return Run(
        id=attempt.run_id,
        job_id=attempt.job_id,
        variant=_variant(reading, job["number"], attempt),
        attempt=attempt.attempt,
        settings=settings_of(job["settings"]),
        profile=job["profile"],
        provenance=json.loads(job["provenance"]),
        binaries=json.loads(job["binaries"]),
        outcome=attempt.outcome,
    )


def _variant(reading: Reading, number: int, attempt: Attempt) -> Any:
    if attempt.parameters is None:
        variant = reading.variant(number, attempt.position)
        if variant is not None:
            return variant
    return KeptVariant(attempt.variant, attempt.parameters or {})

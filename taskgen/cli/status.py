"""``taskgen status``"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping

import click
from rich.text import Text

from taskgen.cli.listing import print_facts, print_json, state
from taskgen.cli.options import json_option
from taskgen.cli.units import age, number, size
from taskgen.client import Client
from taskgen.resources import Counts, Degradation, Fleet, Status


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show how the daemon is.

    Exit status 0: all is well; 1: something is not as it should be, which is shown; 3: no daemon
    answers.
    """
    with Client() as client:
        found = client.status()
    if as_json:
        print_json(found)
    else:
        print_facts(_facts(found))
    sys.exit(bool(found.problems))


def _facts(status: Status) -> Iterator[tuple[str, str | Text]]:
    yield "state", state(status.state)
    yield "daemon", f"taskgen {status.version}, pid {status.pid}, up {age(status.started_at)}"
    if status.fleet is None:
        yield "machines", "none: this daemon launches none"
    else:
        yield "machines", machines_in_words(status.fleet, status.machines)
        for reason in status.fleet.reasons:
            yield "", Text(reason, style="yellow")
    if status.hosts:
        yield "hosts", _numbers(status.hosts)
    yield "jobs", _numbers(status.jobs) or "none"
    yield "runs", counts_in_words(status.counts)
    if status.console_bytes:
        yield "consoles", f"{size(status.console_bytes)} on the disk"
    if (saved := status.snapshots) and (saved.count or saved.used_bytes):
        limit = f" of {size(saved.limit_bytes)}" if saved.limit_bytes else ""
        yield "snapshots", f"{number(saved.count)}, {size(saved.used_bytes)}{limit} on the disk"
    for problem in status.problems:
        yield "problem", problem_in_words(problem)


def machines_in_words(fleet: Fleet, states: Mapping[str, int]) -> str:
    """What there is, and what is wished."""
    limit = f"at most {fleet.max_machines}"
    if fleet.in_effect != fleet.max_machines:
        limit += f" wished, {fleet.in_effect} possible"
    return f"{_numbers(states) or 'none'} ({limit}){', paused' if fleet.paused else ''}"


def counts_in_words(counts: Counts) -> str:
    """How far runs are."""
    words = [f"{number(counts.queued)} queued", f"{number(counts.running)} running"]
    words += [f"{number(counts.done)} done", f"{number(counts.bad)} given up"]
    return ", ".join(words)


def problem_in_words(problem: Degradation) -> Text:
    """What is wrong, since when, and what to do."""
    since = age(problem.since, time.time())
    text = Text(f"{problem.text}, for {since}", style="red")
    return text.append(f" ({problem.hint})") if problem.hint else text


def _numbers(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in states.items() if count)

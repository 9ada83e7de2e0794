"""What an event of the stream says, in a line for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from taskgen.resources import EventKind, StreamEvent


def in_a_line(event: StreamEvent) -> str:
    """The event without its time and kind."""
    data = event.data
    try:
        return _WORDS[event.kind](data)
    except (KeyError, TypeError):
        # A daemon of another version may tell less.
        return ", ".join(f"{key}={value}" for key, value in data.items())


def _machine(data: Mapping[str, Any]) -> str:
    words = f"{data['name']} {data['state']}"
    if data.get("run"):
        words += f" {data['run']}"
    return words + (f": {data['reason']}" if data.get("reason") else "")


def _fleet(data: Mapping[str, Any]) -> str:
    words = f"at most {data['max_machines']} machines"
    if data["in_effect"] != data["max_machines"]:
        words += f", {data['in_effect']} possible"
    return words + (", paused" if data["paused"] else "")


def _job(data: Mapping[str, Any]) -> str:
    counts = data["counts"]
    total = "?" if counts["total"] is None else counts["total"]
    words = f"{data['id']} {data['state']}, {counts['done']} of {total} done"
    return words + (f": {data['error']}" if data.get("error") else "")


def _host(data: Mapping[str, Any]) -> str:
    words = f"{data['address']} {data['state']}"
    return words + (f": {data['reason']}" if data.get("reason") else "")


def _problem(data: Mapping[str, Any]) -> str:
    return f"{data['text']}" + (f" ({data['hint']})" if data.get("hint") else "")


def _finished(data: Mapping[str, Any]) -> str:
    words = f"{data['run']} on {data['target']}"
    return f"{words}: {data['failure']}: {data['reason']}" if data.get("failure") else words


def _guest(data: Mapping[str, Any]) -> str:
    event = data["event"]
    return f"{data['run']} task {event['task_id']} {event['type']}"


_WORDS: Mapping[EventKind, Callable[[Mapping[str, Any]], str]] = {
    EventKind.MACHINE: _machine,
    EventKind.MACHINE_GONE: lambda data: (
        data["name"] + (f": {data['reason']}" if data.get("reason") else "")
    ),
    EventKind.FLEET: _fleet,
    EventKind.JOB: _job,
    EventKind.JOB_GONE: lambda data: str(data["id"]),
    EventKind.HOST: _host,
    EventKind.LEASE: lambda data: f"{data['address']} to {data.get('machine') or data['mac']}",
    EventKind.PROBLEM: _problem,
    EventKind.PROBLEM_GONE: lambda data: str(data["key"]),
    EventKind.RUN_STARTED: lambda data: f"{data['run']} on {data['target']}",
    EventKind.RUN_EVENT: _guest,
    EventKind.RUN_FINISHED: _finished,
    EventKind.RUN_STOPPED: lambda data: f"{data['run']}: {data['reason']}",
    EventKind.RUN_BAD: lambda data: f"{data['run']} after {data['attempts']} attempts",
    EventKind.RESYNC: lambda data: "some events were missed: the daemon was restarted, or is busy",
}

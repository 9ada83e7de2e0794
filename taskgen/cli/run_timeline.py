"""A run with what the console of its machine said meanwhile, in the order of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

from taskgen.cli.console_text import is_exact
from taskgen.cli.listing import Column
from taskgen.client import Client
from taskgen.resources import Activation, Attempt, ConsoleLine

#: Seconds before ``START`` and after the end whose lines are shown too: what was uploaded, or
#: went wrong after all.
AROUND_S = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened.

    :ivar at_ms: after ``START``.
    :ivar who: a task, or the console.
    :ivar exact: whether it is known when it happened; if not, it was then or earlier.
    """

    at_ms: float
    who: str
    what: str
    exact: bool = True


def console_of(client: Client, attempt: Attempt) -> list[ConsoleLine]:
    """What the console of its machine said around an attempt.

    :raises UnknownMachineError: if nothing is kept of it, or it was none of our machines.
    """
    since = attempt.started_at - AROUND_S
    until = attempt.started_at + attempt.duration_s + AROUND_S
    with closing(client.console_lines(attempt.target, since=since, until=until)) as lines:
        return list(lines)


def timeline(attempt: Attempt, lines: Iterable[ConsoleLine]) -> list[Moment]:
    """What happened in an attempt, in the order of time.

    Tasks are told of by the guest's clock, lines by ours. They meet at ``START``, to within the
    milliseconds that it takes to reach the guest.
    """
    happened = [moment for each in attempt.activations for moment in _of_task(each)]
    first_ms = -AROUND_S * 1000
    for line in lines:
        if (at_ms := (line.at - attempt.started_at) * 1000) >= first_ms:
            happened.append(Moment(at_ms, "console", line.text, is_exact(line)))
    return sorted(happened, key=lambda each: each.at_ms)


def _of_task(activation: Activation) -> Iterator[Moment]:
    who = f"task {activation.task_id} {activation.pkg}"
    if activation.start_us is not None:
        yield Moment(activation.start_us / 1000, who, f"activation {activation.number} starts")
    if activation.end_us is not None:
        what = f"activation {activation.number}: {activation.exit}"
        yield Moment(activation.end_us / 1000, who, what)


COLUMNS: list[Column[Moment]] = [
    Column("at ms", lambda each: f"{'' if each.exact else '<'}{each.at_ms:.3f}", right=True),
    Column("who", lambda each: each.who),
    Column("what", lambda each: each.what),
]

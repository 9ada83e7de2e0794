"""What the command line says in human units, and what it understands of them."""

from datetime import datetime

import pytest

from taskgen.cli.event_text import in_a_line
from taskgen.cli.machine_log import behind
from taskgen.cli.raw_terminal import key_of, name_of
from taskgen.cli.units import age, clock, duration, moment, moment_of, number, rate
from taskgen.errors import ConfigError
from taskgen.resources import EventKind, StreamEvent


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (0.0001, "<1 ms"),
        (0.25, "250 ms"),
        (4.25, "4.25 s"),
        (59.96, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_605, "1 h"),
        (3_660, "1 h 1 min"),
        (90_000, "1 d 1 h"),
        (-61, "-1 min 1 s"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds, words):
    assert duration(seconds) == words


def test_an_age_is_whole_seconds_and_never_negative():
    assert age(100.0, now=161.9) == "1 min 1 s"
    assert age(100.0, now=90.0) == "0 ms"
    assert age(None) == "-"


@pytest.mark.parametrize(
    ("per_second", "words"),
    [(12.34, "12.3/s"), (0.5, "30/min"), (0.01, "36/h"), (0.0001, "8.6/d")],
)
def test_a_rate_takes_the_unit_in_which_it_is_at_least_one(per_second, words):
    assert rate(per_second) == words


def test_times_are_those_of_here_and_name_the_zone(monkeypatch):
    at = datetime.fromisoformat("2026-05-01T12:30:00+00:00").timestamp()
    here = datetime.fromtimestamp(at).astimezone()
    assert moment(at) == here.strftime("%Y-%m-%d %H:%M:%S %Z")
    assert clock(at + 0.25) == here.strftime("%H:%M:%S.250")
    assert moment(None) == "-"


def test_times_are_read_as_they_are_written():
    at = datetime.fromisoformat("2026-05-01T12:30:00+00:00").timestamp()
    assert moment_of("2026-05-01T12:30Z") == at
    assert moment_of("2026-05-01T12:30") == datetime(2026, 5, 1, 12, 30).timestamp()
    assert moment_of("2h", now=10_000) == 2_800
    assert moment_of("3 d", now=0) == -3 * 86_400
    for text in ("yesterday", "2w", "99999-01-01", ""):
        with pytest.raises(ConfigError, match="not a time"):
            moment_of(text)


def test_great_numbers_have_groups_and_unknown_ones_a_mark():
    assert number(1_000_000) == "1 000 000"
    assert number(None) == "?"


def test_a_key_is_written_with_a_caret_or_is_itself():
    assert key_of("^]") == b"\x1d"
    assert key_of("^a") == key_of("^A") == b"\x01"
    assert key_of("~") == b"~"
    for text in ("", "^", "^]]", "ctrl-a", "ä"):
        if text == "^":
            assert key_of(text) == b"^"
            continue
        with pytest.raises(ConfigError, match="not a key"):
            key_of(text)
    assert name_of(b"\x1d") == "Ctrl-]"
    assert name_of(b"~") == "~"


@pytest.mark.parametrize(
    ("said", "more", "left"),
    [
        ("boot\nready\n", "", ""),
        ("boot\nready\n", "ready\nrun\n", "run\n"),
        ("boot\nready\n", "run\n", "run\n"),
        ("boot\n", "boot\n", ""),
        ("", "run\n", "run\n"),
    ],
)
def test_what_the_log_has_already_is_not_told_again(said, more, left):
    assert behind(said, more) == left


MACHINE = {"name": "taskgen-1", "state": "running", "run": "j-0-1", "reason": ""}
JOB = {"id": "j", "state": "running", "counts": {"total": 8, "done": 3}, "error": ""}
FLEET = {"max_machines": 9, "in_effect": 4, "paused": True}


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (EventKind.MACHINE, MACHINE, "taskgen-1 running j-0-1"),
        (EventKind.MACHINE_GONE, {"name": "taskgen-1", "reason": "idle"}, "taskgen-1: idle"),
        (EventKind.FLEET, FLEET, "at most 9 machines, 4 possible, paused"),
        (EventKind.JOB, JOB, "j running, 3 of 8 done"),
        (EventKind.JOB_GONE, {"id": "j"}, "j"),
        (EventKind.LEASE, {"address": "10.0.0.1", "mac": "0a:"}, "10.0.0.1 to 0a:"),
        (EventKind.PROBLEM, {"text": "disk full", "hint": "make room"}, "disk full (make room)"),
        (EventKind.RUN_STARTED, {"run": "j-0-1", "target": "t"}, "j-0-1 on t"),
        (
            EventKind.RUN_FINISHED,
            {"run": "j-0-1", "target": "t", "failure": "guest", "reason": "hung"},
            "j-0-1 on t: guest: hung",
        ),
        (EventKind.RUN_BAD, {"run": "j-0-1", "attempts": 3}, "j-0-1 after 3 attempts"),
        (EventKind.RUN_BAD, {"run": "j-0-1"}, "run=j-0-1"),
    ],
)
def test_an_event_is_a_line(kind, data, words):
    assert in_a_line(StreamEvent(id="1", kind=kind, at=0.0, data=data)) == words


@pytest.mark.parametrize("kind", EventKind)
def test_an_event_of_another_version_is_a_line_too(kind):
    assert in_a_line(StreamEvent(id="1", kind=kind, at=0.0, data={"new": 1}))

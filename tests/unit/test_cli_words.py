"""What the command line says in human units, and what it understands of them."""

from datetime import datetime

import pytest

from taskgen.cli.console_text import ConsolePrinter
from taskgen.cli.event_text import in_a_line
from taskgen.cli.raw_terminal import key_of, name_of
from taskgen.cli.units import age, clock, duration, moment, moment_of, number, rate, size
from taskgen.errors import ConfigError
from taskgen.resources import ConsoleLine, EventKind, StreamEvent


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
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_250, "1.25 kB"),
        (999_600, "1 MB"),
        (7_340_000, "7.34 MB"),
        (3e15, "3e+03 TB"),
    ],
)
def test_a_size_has_three_digits(count, words):
    assert size(count) == words


LINE = {"boot": 1, "offset": 0, "end": 6, "text": "hello", "whole": True, "at": 1000.5}


def printed(capsys, *lines, **options):
    printer = ConsolePrinter(**{"timestamps": False, **options})
    for line in lines:
        printer.show(ConsoleLine.model_validate({**LINE, **line}))
    printer.end()
    return capsys.readouterr()


def test_lines_of_a_console_are_printed_as_they_were_said(capsys):
    said = printed(
        capsys,
        {"dropped": 1_500},
        {"text": "log", "whole": False},
        {"text": "in: ", "whole": False},
        {"boot": 2, "text": "again"},
    )
    assert said.out == "hello\nlogin: \nagain\n"
    assert "1.5 kB before this are not kept any more" in said.err
    assert "boot 2 began" in said.err


def test_a_line_that_nobody_saw_being_said_has_a_bound_for_its_time(capsys):
    seen = {"not_before": 1000.49, "whole": False}
    unseen = {"not_before": 900.0}
    out = printed(capsys, seen, unseen, unseen, {}, timestamps=True).out
    at = datetime.fromtimestamp(1000.5).isoformat(" ", "milliseconds")
    assert out == f"{at}  hellohello\n<{at} hello\n<{at} hello\n"


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

"""The daemon's state directory, its log, its service manager, and settings that are read again."""

import asyncio
import io
import json
import logging
import os
import pty
import re
import select
import socket
import stat
from contextlib import contextmanager
from dataclasses import replace

import pytest
from distributor_tools import profile_of

from taskgen.daemon.api import api
from taskgen.daemon.daemon import running
from taskgen.daemon.logs import configure_logging
from taskgen.daemon.notify import Notifier
from taskgen.daemon.reload import merged
from taskgen.daemon.state import state_directory
from taskgen.errors import ConfigError, HostError
from taskgen.log_fields import log_fields
from taskgen.problems import Problems
from taskgen.run_settings import Order
from taskgen.settings import LogSettings, Settings, load_settings
from taskgen.wishes import Wishes


def test_a_token_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    with state_directory(tmp_path) as state:
        token = state.token()
    path = tmp_path / "secrets" / "api-token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 40
    with state_directory(tmp_path) as state:
        assert state.token() == token
        path.unlink()
        assert state.token() != token


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        ("short\n", 0o600, "too short"),
        ("", 0o600, "too short"),
        ("x" * 40, 0o604, "everybody may use it"),
    ],
)
def test_a_token_that_protects_nothing_is_refused(tmp_path, content, mode, message):
    path = tmp_path / "token"
    path.write_text(content)
    path.chmod(mode)
    with state_directory(tmp_path) as state, pytest.raises(ConfigError, match=message):
        state.token(path)


def test_a_directory_of_everybodys_is_refused_and_left_as_it_is(tmp_path):
    tmp_path.chmod(0o1777)
    with pytest.raises(HostError, match="everybody may write"), state_directory(tmp_path):
        pass
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
    assert not list(tmp_path.iterdir())


def test_wishes_are_kept_for_the_next_daemon(tmp_path):
    wishes = Wishes(max_machines=7, paused=True)
    with state_directory(tmp_path) as state:
        assert state.wishes() == Wishes()
        state.keep_wishes(wishes)
    with state_directory(tmp_path) as state:
        assert state.wishes() == wishes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ('{"max_machines": 0}', "must be above 0"),
        ('{"max_machine": 1}', "unknown key"),
        ("[]", "wishes.json"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(tmp_path, text, message):
    (tmp_path / "wishes.json").write_text(text)
    with state_directory(tmp_path) as state, pytest.raises(ConfigError, match=message):
        state.wishes()


def test_wishes_that_cannot_be_kept_are_an_error_and_the_old_ones_stay(tmp_path):
    with state_directory(tmp_path) as state:
        state.keep_wishes(Wishes(max_machines=2))
        (tmp_path / "wishes.json.new").mkdir()
        with pytest.raises(HostError, match="cannot be written: Is a directory"):
            state.keep_wishes(Wishes(max_machines=3))
        assert state.wishes() == Wishes(max_machines=2)


@pytest.fixture
def logged():
    """Writes with the daemon's logging into a text; the rest of the tests keep theirs."""
    root, ours = logging.getLogger(), logging.getLogger("taskgen")
    handlers, level, own_level = root.handlers[:], root.level, ours.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(own_level)


def test_a_message_is_one_line_of_json_whatever_is_in_it(logged):
    configure_logging(LogSettings(), stream=logged)
    log = logging.getLogger("taskgen.x")
    with log_fields(machine="taskgen-1"), log_fields(run="a-0-1"):
        log.warning("two\nlines, %s", "ä")
    log.info("no fields")
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("it went wrong")
    first, second, third = (json.loads(line) for line in logged.getvalue().splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "warning",
        "logger": "taskgen.x",
        "message": "two\nlines, ä",
        "machine": "taskgen-1",
        "run": "a-0-1",
    }
    assert "machine" not in second
    assert third["exception"].startswith("Traceback")


def test_people_get_lines_of_text(logged):
    configure_logging(LogSettings(format="human"), stream=logged)
    logging.getLogger("taskgen.x").info("all is well")
    logging.getLogger("taskgen.x").warning("or not")
    lines = logged.getvalue().splitlines()
    assert [line[9:] for line in lines] == ["all is well", "warning: or not"]


def test_what_strangers_said_passes_for_no_line_of_the_log(logged):
    configure_logging(LogSettings(format="human"), stream=logged)
    logging.getLogger("taskgen.x").info("no job %s", "a\n12:00:00 all is well\x1b[2J\x9b2J")
    lines = logged.getvalue().splitlines()
    assert lines[1:] == ["    12:00:00 all is well\ufffd[2J\ufffd2J"]


@contextmanager
def terminal():
    """The two ends of a terminal: who writes, and a function that gives what is shown."""
    main, side = pty.openpty()

    def shown():
        text = ""
        while select.select([main], [], [], 0)[0]:
            text += os.read(main, 4096).decode()
        return text.splitlines()

    try:
        with os.fdopen(side, "w") as stream:
            yield stream, shown
    finally:
        os.close(main)


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_gets_lines_for_people_in_colours_if_they_are_wanted(
    logged, monkeypatch, variables
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in ({"TERM": "xterm"} | variables).items():
        monkeypatch.setenv(name, value)
    log = logging.getLogger("taskgen.x")
    with terminal() as (stream, shown):
        configure_logging(LogSettings(), stream=stream)
        log.info("all is well")
        log.warning("or \x1b[32mnot")
        log.error("two\nlines")
        lines = shown()
    text = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d .*|    lines", line) for line in text)
    assert [line[9:] for line in text[:3]] == [
        "all is well",
        "warning: or \ufffd[32mnot",
        "error: two",
    ]
    coloured = [line[line.index(" ") + 1 :] for line in lines[1:3]]
    if variables:
        assert lines == text
    else:
        assert coloured == ["\x1b[33mwarning:\x1b[0m or \ufffd[32mnot", "\x1b[31merror:\x1b[0m two"]


def test_what_is_redirected_has_no_colours(logged, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    configure_logging(LogSettings(format="human"), stream=logged)
    logging.getLogger("taskgen.x").warning("not well")
    assert "\x1b" not in logged.getvalue()


@pytest.mark.parametrize(
    ("level", "verbose", "expected"),
    [
        ("info", 0, ["info", "warning"]),
        ("warning", 0, ["warning"]),
        ("warning", 1, ["info", "warning"]),
        ("info", 1, ["debug", "info", "warning"]),
        ("info", 5, ["debug", "info", "warning", "library"]),
    ],
)
def test_less_important_messages_are_said_only_where_they_are_asked_for(
    logged, level, verbose, expected
):
    configure_logging(LogSettings(level=level), verbose=verbose, stream=logged)
    log = logging.getLogger("taskgen.x")
    log.debug("debug")
    log.info("info")
    log.warning("warning")
    logging.getLogger("asyncio").debug("library")
    assert [json.loads(line)["message"] for line in logged.getvalue().splitlines()] == expected


@pytest.mark.parametrize("abstract", [True, False])
def test_the_service_manager_is_told_and_children_cannot_be(tmp_path, abstract):
    address = f"@taskgen-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000", "PATH": "/bin"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0"))
        notifier = Notifier(environment)
        notifier.ready("well")
        assert manager.recv(4096) == b"READY=1\nSTATUS=well"
    assert notifier.interval_s == 1.5
    assert environment == {"PATH": "/bin"}
    notifier.ready("nobody listens any more")


@pytest.mark.parametrize(
    "environment",
    [{}, {"WATCHDOG_USEC": "many"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}],
)
def test_nobody_is_told_where_nobody_asked(environment):
    notifier = Notifier(environment)
    notifier.ready("well")
    assert notifier.interval_s == 0


def test_the_order_of_jobs_is_taken_over_in_the_midst_of_work(tmp_path, monkeypatch):
    profile_of(tmp_path, monkeypatch)
    options = {
        "fleet": {"launch": False},
        "hosts": {"addresses": ["127.0.0.99"], "profile": "board"},
        "api": {"socket": str(tmp_path / "s"), "group": ""},
    }
    settings = load_settings(None, {}, options)

    async def main():
        with state_directory(tmp_path / "state") as state:
            async with running(settings, state, Problems(), api) as daemon:
                assert daemon.service.queue.order is Order.FAIR
                daemon.take_over(load_settings(None, {"TASKGEN_RUN__ORDER": "fifo"}, options))
                assert daemon.service.queue.order is Order.FIFO

    asyncio.run(main())


def test_only_what_can_be_taken_over_is(tmp_path):
    file = tmp_path / "x.toml"
    file.write_text(
        "[fleet]\nmax_machines = 3\nboot_concurrency = 2\nprofile = 'genode-pbxa9'\n"
        "[run]\ntries = 9\n[api]\ngroup = 'me'\n"
    )
    old = Settings()
    now, taken, waiting = merged(old, load_settings(file, {}))
    assert taken == ["fleet.max_machines", "fleet.boot_concurrency", "run.tries"]
    assert waiting == ["fleet.profile", "api.group"]
    assert now == replace(
        old,
        fleet=replace(old.fleet, max_machines=3, boot_concurrency=2),
        run=replace(old.run, tries=9),
    )

"""The files by which others run the daemon: systemd, supervisor, Vagrant."""

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest
from programs import needed

from taskgen.daemon_settings import DaemonSettings

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "packaging" / "taskgend.service"


@pytest.fixture
def unit():
    """The unit's directives, the last of each name."""
    return dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))


@pytest.fixture
def program():
    """What supervisor is told of the daemon."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";",))
    parser.read(ROOT / "supervisord.conf")
    return parser["program:taskgend"]


def verified(unit):
    return subprocess.run(
        [needed("systemd-analyze"), "verify", unit],
        env={**os.environ, "SYSTEMD_LOG_COLOR": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_systemd_understands_each_line_of_the_unit(tmp_path):
    daemon = tmp_path / "taskgend"  # whatever is started has to be there
    daemon.touch(mode=0o755)
    text = UNIT.read_text().replace("/opt/taskgen/.venv/bin/taskgend", str(daemon))
    copy = tmp_path / "taskgend.service"
    copy.write_text(text)
    assert (verified(copy).returncode, verified(copy).stderr) == (0, "")
    copy.write_text(text.replace("KillMode=process", "KillMode=proces"))
    assert "kill mode" in verified(copy).stderr, "it would say so"


def test_both_wait_for_longer_than_the_daemon_lets_runs_finish(unit, program):
    drain_s = DaemonSettings().drain_s
    assert int(unit["TimeoutStopSec"]) > drain_s
    assert int(program["stopwaitsecs"]) > drain_s


def test_both_keep_the_machines_through_a_restart(unit, program):
    assert unit["KillMode"] == "process"
    assert (unit["RestartKillSignal"], unit["KillSignal"]) == ("SIGUSR1", "SIGTERM")
    assert program["stopsignal"] == "USR1"
    assert (program["stopasgroup"], program["killasgroup"]) == ("false", "false")


@pytest.mark.parametrize(
    "start", ["Protect", "Private", "ReadWrite", "ReadOnly", "Inaccessible", "Bind"]
)
def test_the_unit_has_no_mounts_of_its_own(unit, start):
    """The namespace's name would be seen in the unit alone, and not by the next daemon."""
    assert not [name for name in unit if name.startswith(start)]


def test_vagrant_takes_the_vagrantfile(tmp_path):
    home = {"VAGRANT_HOME": str(tmp_path), "VAGRANT_DOTFILE_PATH": str(tmp_path / "dot")}
    said = subprocess.run(
        [needed("vagrant"), "validate", "--ignore-provider"],
        cwd=ROOT,
        env={**os.environ, **home, "VAGRANT_CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert said.returncode == 0, said.stderr + said.stdout


def test_the_vagrantfile_calls_scripts_that_are_there():
    called = set(re.findall(r"/vagrant/([\w.]+)", (ROOT / "Vagrantfile").read_text()))
    assert called == {"provision.sh", "bootstrap.sh"}
    for script in called:
        assert os.access(ROOT / script, os.X_OK)

"""A dash as the file to write is standard output or an error, never a file of that name."""

import pytest
from click.testing import CliRunner

from taskgen.cli.job_add import add
from taskgen.cli.network import network
from taskgen.cli.run import run
from taskgen.cli.taskset_generate import generate

SETS = ["--tasks", "1", "--utilisation", "0.5", "--sets", "1", "--seed", "1"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("command", "words"), [(network, ["dhcpd-conf"]), (generate, SETS)])
def test_a_dash_is_standard_output(command, words):
    without, dash = (CliRunner().invoke(command, [*words, *more]) for more in ([], ["-o", "-"]))
    assert without.exit_code == dash.exit_code == 0
    assert dash.stdout == without.stdout != ""


@pytest.mark.parametrize("command", [run, add])
def test_a_dash_for_events_is_refused(command):
    done = CliRunner().invoke(command, ["example.Demo", "--events", "-"])
    assert done.exit_code == 2
    assert "--events" in done.output
    assert "must be a file" in done.output

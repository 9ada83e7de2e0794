"""``taskgen network``"""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from taskgen import assets
from taskgen.cli.network import network
from taskgen.errors import ConfigError

THERE = assets.root() / "dhcpd.conf"


def call(*words):
    return CliRunner().invoke(network, ["dhcpd-conf", *map(str, words)])


def described(tmp_path, slots):
    text = (assets.root() / "network" / "network.toml").read_text(encoding="utf-8")
    file = tmp_path / "network.toml"
    file.write_text(text.replace("slots = 42", f"slots = {slots}"), encoding="utf-8")
    return file


def test_the_top_level_file_is_what_the_command_prints():
    program = Path(sys.executable).parent / "taskgen"
    done = subprocess.run(
        [program, "network", "dhcpd-conf"], capture_output=True, text=True, check=True, env={}
    )
    assert done.stdout == THERE.read_text(encoding="utf-8")
    assert call("--check", THERE).exit_code == 0


def test_a_file_that_is_not_up_to_date_is_told(tmp_path, capfd):
    file = tmp_path / "dhcpd.conf"
    file.write_text("old")
    assert call("--check", file).exit_code == 1
    assert file.read_text() == "old"
    assert call("--output", file, "--force").exit_code == 0
    assert call("--check", file).exit_code == 0


def test_a_file_is_replaced_only_by_force(tmp_path):
    file = tmp_path / "dhcpd.conf"
    file.write_text("precious")
    assert isinstance(call("-o", file).exception, ConfigError)
    assert file.read_text() == "precious"


def test_another_network_makes_another_file(tmp_path, monkeypatch):
    file = described(tmp_path, slots=3)
    printed = call("--network", file).output
    assert printed.count("class ") == printed.count("pool ") == 3
    monkeypatch.setenv("TASKGEN_NETWORK__FILE", str(file))
    assert call().output == printed
    assert call("--check", THERE).exit_code == 1


@pytest.mark.parametrize("words", [("--force",), ("-o", "a", "--check", "b")])
def test_options_that_make_no_sense_together(words):
    assert call(*words).exit_code == 2


def test_a_file_that_is_not_there_cannot_be_checked(tmp_path):
    error = call("--check", tmp_path / "none").exception
    assert isinstance(error, ConfigError)
    assert "cannot be read" in str(error)

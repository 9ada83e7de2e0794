"""What commands say when no daemon is running, and when the input is wrong."""

import json
import os
import socket
import subprocess

import pytest
from command import TASKGEN, environment, many, taskgen

ASKING = [
    ("status",),
    ("fleet", "show"),
    ("fleet", "set-max", "2"),
    ("fleet", "pause"),
    ("set-max-machine-value", "2"),
    ("machine", "ls"),
    ("machine", "restart", "taskgen-1"),
    ("machine", "log", "taskgen-1"),
    ("job", "add", "example.Hey"),
    ("job", "ls", "--json"),
    ("job", "watch", "0123456789ab"),
    ("job", "cancel", "0123456789ab"),
    ("run", "show", "0123456789ab-0-1"),
    ("host", "ls"),
    ("lease", "ls"),
    ("events",),
    ("results", "export", "-o", "results.csv"),
]


def test_without_a_daemon_it_is_said_how_to_start_one(tmp_path):
    for words, said in zip(ASKING, many(ASKING, tmp_path), strict=True):
        assert (said.status, said.out) == (3, ""), words
        assert said.err == (
            "taskgen: no daemon answers at /run/taskgen/taskgen.sock"
            " (start it: systemctl start taskgend, or taskgen daemon)\n"
        ), words
    assert list(tmp_path.iterdir()) == []


def test_a_socket_that_a_dead_daemon_left_is_no_daemon(tmp_path):
    path = tmp_path / "taskgen.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    said = taskgen("status", TASKGEN_SOCKET=str(path))
    assert said.status == 3
    assert f"no daemon answers at {path}" in said.err


WRONG = [
    (("fleet", "set-max", "0"), ["'N'", "x>=1"]),
    (("fleet", "set-max", "many"), ["'many'", "integer"]),
    (("machine",), ["machine"]),
    (("machine", "frob", "taskgen-1"), ["No such command 'frob'"]),
    (("machine", "log", "taskgen-1", "--lines", "-1"), ["--lines", "0<=x<=1000000000"]),
    (("job", "add"), ["Missing argument"]),
    (("job", "add", "example.Dmo"), ["example has no Dmo", "did you mean"]),
    (("job", "add", "nowhere.toml"), ["nowhere.toml", "No such file"]),
    (("job", "add", "example.Hey", "--set", "hey.perod=1"), ["perod", "period"]),
    (("job", "add", "example.Hey", "--label", "night"), ["'night'", "key=value"]),
    (("job", "add", "example.Hey", "--repeat", "0"), ["--repeat", "x>=1"]),
    (("job", "add", "example.Hey", "--binaries", "no"), ["no: no such directory"]),
    (("job", "add", "example.Hey", "--set", "hey.numberofjobs=0"), ["never ends"]),
    (("job", "add", "code.Own"), ["code of its own", "--embedded"]),
    (("job", "ls", "--state", "ready"), ["'ready'", "queued"]),
    (("job", "cancel"), ["Missing argument"]),
    (("events", "--kind", "jobs"), ["'jobs'", "job.gone"]),
    (("results", "export", "--since", "yesterday"), ["'yesterday'", "2h"]),
    (("results", "export", "--format", "xlsx"), ["'xlsx'", "parquet"]),
    (("machine", "console", "taskgen-1"), ["needs a terminal", "machine log -f"]),
    (("machine", "console", "taskgen-1", "--escape", "ctrl"), ["'ctrl'", "not a key"]),
    (("completion", "tcsh"), ["'tcsh'", "bash"]),
    (("config", "show", "--config", "typo.toml"), ["typo.toml", "did you mean 'tries'?"]),
]


def test_wrong_input_is_told_before_a_daemon_is_asked(tmp_path):
    (tmp_path / "typo.toml").write_text("[run]\ntires = 3\n")
    (tmp_path / "code.py").write_text(
        "from taskgen.taskset import TaskSet\n"
        "class Own(TaskSet):\n"
        "    def variants(self):\n"
        "        return super().variants()\n"
    )
    answers = many([words for words, _ in WRONG], tmp_path)
    for (words, names), said in zip(WRONG, answers, strict=True):
        assert said.status == 2, (words, said.err)
        assert all(name in said.err for name in names), (words, said.err)
        assert "Traceback" not in said.err


def test_the_url_of_a_daemon_that_is_not_there_is_not_replaced_by_a_fleet_of_ones_own():
    said = taskgen("run", "example.Hey", TASKGEN_URL="http://127.0.0.1:9")
    assert said.status == 3
    assert "no daemon answers at http://127.0.0.1:9" in said.err


def test_settings_are_shown_with_where_they_come_from(tmp_path):
    file = tmp_path / "taskgen.toml"
    file.write_text('[run]\ntries = 5\n[hosts]\naddresses = ["10.1.2.0/24"]\n')
    words = ("config", "show", "--config", str(file))
    shown = taskgen(*words, TASKGEN_RUN__MARGIN="2.5")
    assert shown.status == 0
    lines = dict(line.split(None, 1) for line in shown.out.splitlines())
    assert lines["run.tries"] == f"5   from {file}"
    assert lines["run.margin"] == "2.5   from TASKGEN_RUN__MARGIN"
    assert lines["run.slack_s"] == "10.0"
    assert lines["hosts.addresses"] == f'["10.1.2.0/24"]   from {file}'
    found = json.loads(taskgen(*words, "--json", TASKGEN_RUN__MARGIN="2.5").out)
    assert found["run"]["tries"] == {"value": 5, "source": str(file)}
    assert found["run"]["margin"] == {"value": 2.5, "source": "TASKGEN_RUN__MARGIN"}
    assert found["fleet"]["profile"] == {"value": "linux-x86_64", "source": "default"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_shell(shell):
    said = taskgen("completion", shell)
    assert said.status == 0
    assert f"_TASKGEN_COMPLETE={shell}_complete" in said.out


def test_commands_complete_without_a_daemon():
    def words(typed):
        variables = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
        said = taskgen(_TASKGEN_COMPLETE="bash_complete", **variables)
        return [line.partition(",")[2] for line in said.out.splitlines() if line]

    assert words("taskgen mach") == ["machine"]
    assert words("taskgen job re") == ["resume", "retry-bad"]
    assert words("taskgen machine show task") == []


def test_a_reader_who_has_seen_enough_is_no_error():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as output:
        words = [TASKGEN, "config", "show"]
        said = subprocess.run(
            words, stdout=output, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert (said.returncode, said.stderr) == (0, b"")

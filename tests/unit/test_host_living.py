"""Which command lines are those of a daemon."""

import pytest

from taskgen.host.living import is_daemon


@pytest.mark.parametrize(
    "line",
    [
        "/usr/bin/python3 /usr/bin/taskgend",
        "taskgend --config /etc/taskgen.toml",
        "/opt/venv/bin/python /opt/venv/bin/taskgen daemon",
        "python -m taskgen daemon --config x",
        "python -m taskgen.cli daemon",
        "python -X dev /opt/venv/bin/taskgen --verbose daemon",
    ],
)
def test_a_daemon(line):
    assert is_daemon(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "",
        "taskgen run hey",
        "taskgen status",
        "grep daemon",
        "vim daemon.py",
        "dnsmasq --keep-in-foreground",
        "python -m http.server daemon",
    ],
)
def test_no_daemon(line):
    assert not is_daemon(line.split())

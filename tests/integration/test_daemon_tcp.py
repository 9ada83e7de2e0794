"""The API of a daemon over TCP: for those who have the token, and out of the machines' reach."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest
from daemon_tools import PATIENCE_S, daemon, sweep
from pyroute2 import IPRoute

from taskgen.client import Client
from taskgen.distributor import Distributor
from taskgen.errors import DaemonError

TASKGEN = Path(sys.executable).parent / "taskgen"

PORT = 7323

#: The host's in a network that there is elsewhere too: of a range that is for documentation.
HOST = "198.51.100.1"
URL = f"http://{HOST}:{PORT}"

SETTINGS = f"""
[fleet]
max_machines = 1
[api]
listen = "0.0.0.0:{PORT}"
allow_all_addresses = true
[daemon]
on_stop = "stop"
"""

#: Says how a connection from one of our addresses goes: 0, or the number of the error.
PROBE = """
import socket, sys
with socket.socket() as sock:
    sock.settimeout(10)
    sock.bind((sys.argv[1], 0))
    print(sock.connect_ex((sys.argv[2], int(sys.argv[3]))))
"""


@pytest.fixture
def host():
    """A network that the host is in."""
    with IPRoute() as ipr:
        ipr.link("add", ifname="elsewhere", kind="bridge")
        (index,) = ipr.link_lookup(ifname="elsewhere")
        ipr.addr("add", index=index, address=HOST, prefixlen=24)
        ipr.link("set", index=index, state="up")
        yield
        ipr.link("del", index=index)


@pytest.fixture
def token(host, tmp_path, monkeypatch):
    """The token of a daemon with a fleet that listens in all networks of the host."""
    for name in ("TASKGEN_URL", "TASKGEN_TOKEN", "TASKGEN_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    settings = tmp_path / "taskgen.toml"
    settings.write_text(SETTINGS)
    with (
        # Not below pytest's own directory: QEMU's user cannot pass that.
        tempfile.TemporaryDirectory(dir="/run") as state,
        daemon(settings, TASKGEN_STATE=state) as running,
    ):
        yield (Path(state) / "secrets" / "api-token").read_text().strip()
        assert running.stop() == 0


def test_who_has_no_token_or_a_wrong_one_is_refused(token):
    wrong = [token[:-1], token + "0", token.swapcase(), "é"]
    schemes = [f"Bearer {each}" for each in wrong] + ["Bearer", token, f"Basic {token}"]
    for said in [None, *schemes]:
        headers = {} if said is None else {"Authorization": said.encode()}
        for path in ("/v1/status", "/metrics", "/v1/openapi.json", "/nowhere"):
            answer = httpx.get(URL + path, headers=headers, timeout=PATIENCE_S)
            assert answer.status_code == 401, (said, path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert token not in answer.text
    with Client(url=URL, token=token[:-1]) as client, pytest.raises(DaemonError, match="token"):
        client.status()


def test_who_has_the_token_may_do_all(token):
    with Client(url=URL, token=token) as client:
        assert client.status().state == "idle"
    with Distributor.connect(url=URL, token=token) as distributor:
        distributor.set_max_machine_value(2)
        job = distributor.add_job(sweep(2), name="over TCP")
        distributor.shut_down_all_machines()
        job.cancel()
    with Client(url=URL, token=token) as client:
        assert client.status().state == "paused"
        assert [each.name for each in client.jobs()] == ["over TCP"]


def test_the_command_line_uses_it(token):
    def status(**variables):
        return subprocess.run(
            [TASKGEN, "status"],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
            env={**os.environ, "TASKGEN_URL": URL, **variables},
        )

    right = status(TASKGEN_TOKEN=token)
    assert right.returncode == 0, right.stderr
    assert "idle" in right.stdout
    for wrong in (status(TASKGEN_TOKEN="wrong"), status()):
        assert wrong.returncode not in (0, 3), wrong.stderr
        assert "a token is needed" in wrong.stderr
        assert "Traceback" not in wrong.stderr


@pytest.mark.usefixtures("token")
def test_machines_cannot_reach_it(network):
    """They have the fleet's namespace as their network, which has no way to the host's."""

    def probe(own, other, *inside):
        words = [*inside, sys.executable, "-c", PROBE, own, other, str(PORT)]
        said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
        return int(said.stdout)

    assert probe(HOST, HOST) == probe("127.0.0.1", "127.0.0.1") == 0
    bridge = str(network.bridge_address)
    fleet = ("nsenter", "--net=/run/netns/taskgen")
    assert probe(bridge, HOST, *fleet) == errno.ENETUNREACH
    assert probe(bridge, bridge, *fleet) == errno.ECONNREFUSED
    assert probe("127.0.0.1", "127.0.0.1", *fleet) == errno.ECONNREFUSED

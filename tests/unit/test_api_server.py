"""The sockets of the API, and how it ends."""

import asyncio
import grp
import os
import signal
import socket
import stat

import httpx
import pytest
from api_tools import served

from taskgen.api import tcp_socket, unix_socket
from taskgen.errors import HostError


def test_the_unix_socket_is_for_the_group_that_there_is(tmp_path):
    path = tmp_path / "deeper" / "api.sock"
    group = grp.getgrgid(os.getgid()).gr_name
    with unix_socket(path, group=group):
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o660
        assert status.st_gid == os.getgid()


@pytest.mark.parametrize("group", ["", "no-such-group"])
def test_the_unix_socket_is_for_its_owner_where_there_is_no_group(tmp_path, group):
    path = tmp_path / "api.sock"
    with unix_socket(path, group=group):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["api.sock"]


def test_a_socket_that_a_dead_daemon_left_is_replaced(tmp_path):
    path = tmp_path / "api.sock"
    unix_socket(path).close()
    with unix_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_that_somebody_listens_on_is_left_alone(tmp_path):
    path = tmp_path / "api.sock"
    with unix_socket(path) as first:
        with pytest.raises(HostError, match="another daemon"):
            unix_socket(path)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            first.accept()[0].close()
    assert os.listdir(tmp_path) == ["api.sock"]


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: p.write_text("precious")])
def test_what_is_no_socket_is_left_alone(tmp_path, make):
    path = tmp_path / "api.sock"
    make(path)
    with pytest.raises(HostError, match=r"api\.sock"):
        unix_socket(path)
    assert path.is_dir() or path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["api.sock"]


def test_a_path_that_is_too_long_is_a_clear_error(tmp_path):
    with pytest.raises(HostError, match="cannot listen"):
        unix_socket(tmp_path / ("x" * 120))


def test_a_port_that_is_taken_is_a_clear_error():
    with (
        tcp_socket("127.0.0.1", 0) as first,
        pytest.raises(HostError, match=r"api\.listen.*in use"),
    ):
        tcp_socket("127.0.0.1", first.getsockname()[1])


def test_an_address_that_is_not_ours_is_a_clear_error():
    with pytest.raises(HostError, match=r"api\.listen"):
        tcp_socket("192.0.2.1", 0)


def test_nothing_is_left_and_no_signal_is_taken(tmp_path, monkeypatch):
    async def main():
        before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before
            await api.get("status")
            assert api.path.is_socket()
        assert not api.path.exists()
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(api.tcp)

    asyncio.run(main())


def test_an_idle_server_does_nothing(tmp_path, monkeypatch):
    async def main():
        async with served(tmp_path, monkeypatch, fakes=0) as api:
            await api.get("status")
            loop = asyncio.get_running_loop()
            # Nothing may be due soon: keep-alive and back-off are seconds away.
            due = [h.when() - loop.time() for h in loop._scheduled if not h.cancelled()]
            assert min(due, default=99) > 0.5

    asyncio.run(main())

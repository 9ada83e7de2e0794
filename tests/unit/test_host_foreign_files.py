"""What the owner of a directory put there is not followed by root."""

import asyncio
import os
import socket
import stat

import pytest

from taskgen.errors import HostError
from taskgen.host.accounts import Account
from taskgen.host.console import Console
from taskgen.host.descriptors import Descriptors
from taskgen.host.foreign_files import make_empty, open_to_append, open_to_read
from taskgen.host.inotify import Inotify
from taskgen.host.process import start


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("only root's\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def link(tmp_path, secret):
    path = tmp_path / "link"
    path.symlink_to(secret)
    return path


def test_a_file_is_made_for_its_owner_only(tmp_path):
    path = tmp_path / "console.log"
    make_empty(path, None)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"", 0o600)


def test_a_link_is_not_given_away(link, secret):
    before = secret.stat().st_uid
    with pytest.raises(FileExistsError):
        make_empty(link, Account(65534, 65534))
    assert secret.stat().st_uid == before


def test_a_link_is_neither_read_nor_written(link, secret):
    with pytest.raises(OSError, match="link"):
        open_to_read(link)
    with pytest.raises(OSError, match="link"):
        open_to_append(link)
    assert secret.read_text() == "only root's\n"


def test_nobody_waits_at_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="regular"):
        open_to_read(pipe)


def test_a_console_that_is_a_link_tells_nothing_of_where_it_leads(link):
    async def main():
        with Inotify() as inotify:
            assert "root" not in Console(link, inotify).tail()

    asyncio.run(main())


def test_the_output_of_a_process_does_not_follow_a_link(link, secret):
    async def main():
        with pytest.raises(HostError, match="link"):
            await start("echo", ["echo", "overwritten"], output=link)

    asyncio.run(main())
    assert secret.read_text() == "only root's\n"


def test_a_socket_is_never_there_with_another_mode(tmp_path, monkeypatch):
    modes = []
    bind = socket.socket.bind

    def looked(sock, address):
        bind(sock, address)
        modes.append(stat.S_IMODE(os.stat(address).st_mode))

    monkeypatch.setattr(socket.socket, "bind", looked)
    with Descriptors() as descriptors:
        descriptors.listen(tmp_path / "qmp.sock", None)
    assert modes == [0o600]

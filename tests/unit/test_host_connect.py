"""Connections to guests: how long an attempt is waited for."""

import asyncio
import socket

import pytest

from taskgen.host.connect import BOOTING_S, connect


class Here:
    """Instead of a fleet's namespace the one that we are in."""

    async def run(self, call, undo):
        return call()


@pytest.mark.parametrize(("patience_s", "attempts"), [(BOOTING_S, 2), (60.0, 1)])
def test_an_attempt_is_waited_for_as_long_as_the_guest_may_need(monkeypatch, patience_s, attempts):
    begun = []

    async def main():
        loop = asyncio.get_running_loop()
        sock_connect = loop.sock_connect

        async def slow(sock, address):
            begun.append(sock)
            if len(begun) == 1:
                await asyncio.sleep(3 * BOOTING_S)
            await sock_connect(sock, address)

        monkeypatch.setattr(loop, "sock_connect", slow)
        with socket.create_server(("127.0.0.1", 0)) as server:
            address, port = server.getsockname()
            made = await connect(Here(), address, port, timeout_s=120, patience_s=patience_s)
            assert made.getpeername() == (address, port)
            made.close()

    asyncio.run(main())
    assert len(begun) == attempts
    assert all(each.fileno() == -1 for each in begun)

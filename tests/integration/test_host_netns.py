"""Namespaces: made with a mark, entered by one thread, deleted."""

import asyncio
import os
import socket
import threading
from pathlib import Path

import pytest
from host_tools import fleet_directory
from pyroute2 import netns as pyroute2_netns

from taskgen.errors import HostError, NamespaceBusyError
from taskgen.host import netns
from taskgen.host.netns import Namespace
from taskgen.host.records import Kind, embedded_name


def current():
    return os.readlink("/proc/thread-self/ns/net")


def test_only_its_thread_is_inside():
    async def main():
        async with await Namespace.create("inside", mark="m 1") as namespace:
            assert await namespace.run(current) != current()
            assert await asyncio.to_thread(current) == current()
            assert netns.owner_mark("inside") == "m 1"
            # What is made inside stays inside, though it is used outside.
            sock = await namespace.run(socket.socket)
            with sock, pytest.raises(OSError, match="address"):
                sock.bind(("192.0.2.1", 0))
        assert not netns.exists("inside")

    asyncio.run(main())


def test_loopback_is_up_and_ipv6_off():
    async def main():
        async with await Namespace.create("inside", mark="m") as namespace:

            def look():
                with socket.create_server(("127.0.0.1", 0)) as server:
                    socket.create_connection(server.getsockname(), 1).close()
                return Path("/proc/thread-self/net/if_inet6").read_text()

            assert await namespace.run(look) == ""

    asyncio.run(main())


def test_somebody_elses_namespace_is_left_alone():
    pyroute2_netns.create("theirs")
    try:
        with pytest.raises(NamespaceBusyError, match="a network namespace 'theirs' already"):
            asyncio.run(Namespace.create("theirs", mark="m"))
        assert netns.exists("theirs")
        assert netns.owner_mark("theirs") is None
    finally:
        pyroute2_netns.remove("theirs")


@pytest.mark.parametrize("name", ["../x", "a b", ".", "-x", "x" * 65])
def test_bad_name(name):
    with pytest.raises(HostError, match="not a name"):
        asyncio.run(Namespace.create(name, mark="m"))


def test_empty_name_is_the_callers_own():
    async def main():
        async with await Namespace.create("", mark="m") as namespace:
            assert namespace.is_host
            assert await namespace.run(current) == current()

    asyncio.run(main())


@pytest.mark.parametrize("made", [False, True])
def test_cancelled_creation_leaves_nothing(made, monkeypatch):
    """Cancelled while the thread is at it: before the namespace is there, or after."""
    arrived, go_on, really_make = threading.Event(), threading.Event(), netns._make

    def make(name, mark):
        if made:
            really_make(name, mark)
        arrived.set()
        assert go_on.wait(60)
        if not made:
            really_make(name, mark)

    async def main():
        monkeypatch.setattr(netns, "_make", make)
        task = asyncio.create_task(Namespace.create("inside", mark="m"))
        assert await asyncio.to_thread(arrived.wait, 60)
        assert netns.exists("inside") is made
        task.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait([task])
        assert task.cancelled()
        assert not netns.exists("inside")

    asyncio.run(main())


def test_creation_cancelled_before_it_began_leaves_nothing():
    async def main():
        task = asyncio.create_task(Namespace.create("inside", mark="m"))
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert not netns.exists("inside")

    asyncio.run(main())


def test_errors_of_the_thread_arrive():
    async def main():
        async with await Namespace.create("inside", mark="m") as namespace:
            with pytest.raises(ZeroDivisionError):
                await namespace.run(lambda: 1 // 0)

    asyncio.run(main())


def test_many_fleets_beside_each_other():
    async def main():
        async with fleet_directory() as one, fleet_directory(kind=Kind.DAEMON) as two:
            assert one.record.namespace != two.record.namespace

    asyncio.run(main())
    assert embedded_name() != embedded_name()

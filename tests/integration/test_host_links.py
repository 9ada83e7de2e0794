"""Bridge, taps, DHCP server and lease file, broken in mid-life by somebody else."""

import asyncio
import os
import signal
import threading
from contextlib import asynccontextmanager, contextmanager

import pytest
from host_tools import available, dhcp_exchange, fleet, machine
from pyroute2 import IPRoute
from pyroute2 import netns as pyroute2_netns

from taskgen.diagnosis import Link
from taskgen.errors import NamespaceBusyError
from taskgen.host import netns
from taskgen.host.bridge import Tap
from taskgen.problems import Problems
from taskgen.settings import DhcpChoice

LIMIT_S = 60


class Witness:
    """What was reported and cleared, in order."""

    def __init__(self):
        self.problems = Problems()
        self.seen = []
        self._changed = asyncio.Event()
        self.problems.on_change(self._note)

    def _note(self, key, problem):
        self.seen.append((key, problem.text if problem else None))
        self._changed.set()

    async def over(self, *keys):
        """Wait until each of the problems was reported and is over."""
        async with asyncio.timeout(LIMIT_S):
            while not all((key, None) in self.seen for key in keys) or self.problems.current:
                self._changed.clear()
                await self._changed.wait()

    async def reported(self, key, words):
        async with asyncio.timeout(LIMIT_S):
            while not any(k == key and words in (text or "") for k, text in self.seen):
                self._changed.clear()
                await self._changed.wait()

    def said(self, key):
        return [text for k, text in self.seen if k == key and text]


@asynccontextmanager
async def watched(network, namespace=None, server=DhcpChoice.DNSMASQ):
    witness = Witness()
    async with fleet(network, namespace, witness.problems, server) as (directory, net):
        yield directory, net, witness


def index_of(ipr, name):
    found = ipr.link_lookup(ifname=name)
    return found[0] if found else None


def delete(name):
    with IPRoute() as ipr:
        ipr.link("del", index=index_of(ipr, name))


def change(name, **values):
    with IPRoute() as ipr:
        ipr.link("set", index=index_of(ipr, name), **values)


def look(name):
    with IPRoute() as ipr:
        return ipr.link("get", index=index_of(ipr, name))[0]


def add(name):
    with IPRoute() as ipr:
        ipr.link("add", ifname=name, kind="bridge")


async def asks(net, slot, tap):
    """Whether the DHCP server answers a guest on the tap."""
    # Answers are broadcast: those to other guests may be waiting in the tap.
    return await dhcp_exchange(tap, slot.mac, xid=slot.number) == str(slot.address)


@pytest.mark.parametrize("namespace", [None, ""])
def test_a_deleted_bridge_is_made_again_with_its_taps(network, namespace, server):
    async def main():
        async with watched(network, namespace, server) as (_, net, witness):
            slots = [network.slot(1), network.slot(2)]
            gone = []
            net.on_tap_gone(gone.append)
            with await net.open_tap(slots[0]) as one, await net.open_tap(slots[1]) as two:
                assert await asks(net, slots[0], one)
                before = net.dhcp.process.pid
                await net.namespace.run(delete, "br0")
                await witness.over("bridge", "dhcp")
                assert "the bridge br0 was deleted" in witness.said("bridge")[0]
                assert "the bridge br0 was made again" in witness.said("dhcp")[0]
                bridge = await net.namespace.run(look, "br0")
                for slot in slots:
                    port = await net.namespace.run(look, slot.tap)
                    assert port.get_attr("IFLA_MASTER") == bridge["index"]
                assert net.dhcp.process.pid != before
                assert await asks(net, slots[0], one)
                assert await asks(net, slots[1], two)
                assert gone == []

    asyncio.run(main())


def test_a_guest_does_not_notice_that_its_bridge_was_deleted(network, profile):
    async def main():
        async with (
            watched(network) as (directory, net, witness),
            machine(profile, directory, net),
        ):
            lease = await net.wait_lease(network.slot(1), LIMIT_S)
            assert await available(net, lease.address, LIMIT_S)
            await net.namespace.run(delete, "br0")
            await witness.over("bridge", "dhcp")
            assert await available(net, lease.address, LIMIT_S)
            net.let_tap_go(network.slot(1))

    asyncio.run(main())


def test_a_deleted_tap_is_told_once(network):
    async def main():
        async with watched(network) as (_, net, witness):
            gone = asyncio.Queue()
            net.on_tap_gone(gone.put_nowait)
            with await net.open_tap(network.slot(1)), await net.open_tap(network.slot(2)) as other:
                await net.namespace.run(delete, "taskgen1")
                async with asyncio.timeout(LIMIT_S):
                    assert await gone.get() == "taskgen1"
                # A change that comes later, and that leads to another look at everything.
                await net.namespace.run(lambda: change("taskgen2", master=0))
                await witness.over("bridge")
                assert gone.empty()
                net.let_tap_go(network.slot(2))
                other.close()
                with await net.open_tap(network.slot(3)):
                    await net.namespace.run(delete, "taskgen3")
                    async with asyncio.timeout(LIMIT_S):
                        assert await gone.get() == "taskgen3"

    asyncio.run(main())


BREAKS = {
    "taken off": lambda: change("taskgen1", master=0),
    "set down": lambda: change("taskgen1", state="down"),
    "was set down": lambda: change("br0", state="down"),
    "lost its alias": lambda: change("br0", ifalias="somebody's"),
    "lost its address": lambda: flush("br0"),
}


def flush(name):
    with IPRoute() as ipr:
        ipr.flush_addr(index=index_of(ipr, name))


@pytest.mark.parametrize("words", BREAKS)
def test_what_was_changed_is_changed_back(network, words):
    async def main():
        async with watched(network) as (_, net, witness):
            slot = network.slot(1)
            with await net.open_tap(slot) as tap:
                server = net.dhcp.process
                before = (await net.namespace.run(look, "br0"))["index"]
                await net.namespace.run(BREAKS[words])
                await witness.over("bridge")
                assert words in witness.said("bridge")[0]
                assert (await net.namespace.run(look, "br0"))["index"] == before
                assert await asks(net, slot, tap)
                assert net.dhcp.process is server

    asyncio.run(main())


def test_who_sits_in_the_bridges_place_is_reported_and_outwaited(network):
    def replace():
        delete("br0")
        add("br0")

    async def main():
        async with watched(network) as (_, net, witness):
            slot = network.slot(1)
            with await net.open_tap(slot) as tap:
                await net.namespace.run(replace)
                await witness.reported("bridge", "there is a network device 'br0' already")
                assert witness.problems.current[0].fatal
                await net.namespace.run(delete, "br0")
                await witness.over("bridge", "dhcp")
                assert await asks(net, slot, tap)

    asyncio.run(main())


def test_a_lost_lease_file_comes_back_with_what_was_in_it(network, server):
    async def main():
        async with watched(network, server=server) as (_, net, witness):
            slot, path = network.slot(1), net.leases.path
            with await net.open_tap(slot) as tap:
                assert await asks(net, slot, tap)
                lease = await net.wait_lease(slot, LIMIT_S)
                # A slot's next lease must differ from its last one, so there is one for each time.
                for number, lose in enumerate(
                    (
                        path.unlink,
                        lambda: path.rename(path.with_suffix(".away")),
                        lambda: replace_file(path, "what is this\n"),
                    ),
                    start=2,
                ):
                    witness.seen.clear()
                    before = net.dhcp.process.pid
                    lose()
                    await witness.over("leases", "dhcp")
                    assert net.dhcp.process.pid != before
                    assert net.leases.current(slot.mac) == lease
                    said = net.dhcp.program.leases.read(path.read_text()).leases
                    assert said[slot.mac] == lease
                    # The server writes to the file that we read.
                    other = network.slot(number)
                    with await net.open_tap(other) as second:
                        assert await asks(net, other, second)
                        assert (await net.wait_lease(other, LIMIT_S)).address == other.address

    asyncio.run(main())


def replace_file(path, text):
    new = path.with_suffix(".theirs")
    new.write_text(text)
    new.replace(path)


def test_garbage_in_the_lease_file_changes_nothing(network, server):
    async def main():
        async with watched(network, server=server) as (_, net, witness):
            slot, path = network.slot(1), net.leases.path
            with await net.open_tap(slot) as tap:
                assert await asks(net, slot, tap)
                lease = await net.wait_lease(slot, LIMIT_S)
                with path.open("ab") as file:
                    file.write(b"\xff\x00 rubbish\n1 2 3 4 5\n")
                # Not even for a server that reads it at its start.
                os.kill(net.dhcp.process.pid, signal.SIGKILL)
                await witness.over("dhcp")
                assert [text for text in witness.said("dhcp") if "did not start" in text] == []
                assert net.leases.all() == {slot.mac: lease}
                assert "rubbish" not in path.read_text()
                assert await asks(net, slot, tap)

    asyncio.run(main())


@contextmanager
def missing(path):
    away = path.with_suffix(".away")
    path.rename(away)
    try:
        yield
    finally:
        away.rename(path)


def test_a_server_that_cannot_start_stays_reported_until_it_can(network, server):
    async def main():
        async with watched(network, server=server) as (directory, net, witness):
            with missing(directory.path):
                os.kill(net.dhcp.process.pid, signal.SIGKILL)
                await witness.reported("dhcp", f"{net.dhcp.program.name} cannot be started")
                assert "dhcp" in [problem.key for problem in witness.problems.current]
            await witness.over("dhcp")

    asyncio.run(main())


def test_a_namespace_that_loses_its_name_gets_it_again(network):
    async def main():
        async with watched(network) as (directory, net, witness):
            name = directory.record.namespace
            pyroute2_netns.remove(str(netns.DIRECTORY / name))
            await witness.over("namespace")
            assert netns.owner_mark(name) == directory.record.mark
            again = await netns.Namespace.adopt(name, mark=directory.record.mark)
            try:
                inode = await again.run(os.stat, "/proc/thread-self/ns/net")
            finally:
                await again.close(keep=True)
            assert inode == await net.namespace.run(os.stat, "/proc/thread-self/ns/net")

    asyncio.run(main())


def test_the_servers_log_does_not_grow_for_ever(network, server):
    async def main():
        async with watched(network, server=server) as (_, net, _):
            slot, log = network.slot(1), net.dhcp.program.log_file
            with log.open("ab") as file:
                file.write(bytes(2 << 20))
            with await net.open_tap(slot) as tap:
                assert await asks(net, slot, tap)
                await net.wait_lease(slot, LIMIT_S)
                assert log.stat().st_size < 10_000
                assert await asks(net, slot, tap)
                assert "DHCPACK" in log.read_text()

    asyncio.run(main())


def test_a_tap_can_be_made_anew_while_its_last_copy_is_being_closed(network, monkeypatch):
    close, closing = Tap.close, threading.Event()

    def close_late(tap):
        if threading.current_thread() is not threading.main_thread():
            closing.wait(LIMIT_S)
        close(tap)

    async def main():
        async with watched(network) as (_, net, _):
            slot = network.slot(1)
            with await net.open_tap(slot) as tap:
                last = tap.copy()
            assert await net.link(slot) is Link.UP
            monkeypatch.setattr(Tap, "close", close_late)
            net.close_tap(last)
            opening = asyncio.create_task(net.open_tap(slot))
            asyncio.get_running_loop().call_later(0.2, closing.set)
            with await opening as tap:
                assert await asks(net, slot, tap)
            with await net.open_tap(slot), pytest.raises(NamespaceBusyError):
                await net.open_tap(slot)

    asyncio.run(main())


def test_the_fleet_ends_only_when_all_taps_are_closed_that_were_to_be(network, monkeypatch):
    close, closed = Tap.close, []
    forgotten = [threading.Event(), threading.Event()]

    def close_slowly(tap):
        """The tap goes at once, but not all CPUs know of it."""
        close(tap)
        if threading.current_thread() is not threading.main_thread():
            assert waits.pop(0).wait(LIMIT_S)
            closed.append(tap.name)

    waits = list(forgotten)

    async def main():
        async with watched(network) as (_, net, _):
            monkeypatch.setattr(Tap, "close", close_slowly)
            for _ in range(2):
                async with asyncio.timeout(LIMIT_S):
                    with await net.open_tap(network.slot(1)) as tap:
                        last = tap.copy()
                net.close_tap(last)
            for event, delay_s in zip(forgotten, (0.5, 0.1), strict=True):
                asyncio.get_running_loop().call_later(delay_s, event.set)
        assert closed == ["taskgen1", "taskgen1"]

    asyncio.run(main())

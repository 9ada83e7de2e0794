"""Each DHCP server, asked by clients like those of the guests."""

import asyncio
import os
import signal
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from host_tools import dhcp_exchange, dhcp_request, fleet, status

from taskgen.errors import BootError, HostError
from taskgen.host.dhcpd import Dhcpd
from taskgen.host.dnsmasq import Dnsmasq
from taskgen.host.frames import Dhcp
from taskgen.problems import Problems
from taskgen.settings import DhcpChoice

STRANGER = "0a:06:00:00:01:01"


def test_each_slot_gets_its_address_by_its_mac_alone(network, server):
    async def main():
        async with fleet(network, server=server) as (_, net):
            # lwIP: the same transaction id on every guest; others: id 0 and an odd client-id.
            for number, xid, options in (
                (1, 0xE4C14788, b""),
                (2, 0xE4C14788, b""),
                (3, 0, b"\x3d\x07\x01\x0a\x06\x00\x00\x00\x01"),
            ):
                slot = network.slot(number)
                with await net.open_tap(slot) as tap:
                    waiter = asyncio.create_task(net.wait_lease(slot, 60))
                    address = await dhcp_exchange(tap, slot.mac, xid=xid, options=options)
                    assert address == str(slot.address)
                    lease = await waiter
                    assert lease.address == IPv4Address(address)
            assert len(net.leases.all()) == 3

    asyncio.run(main())


def test_a_foreign_mac_gets_no_answer(network, server):
    async def main():
        async with fleet(network, server=server) as (_, net):
            with await net.open_tap(network.slot(1)) as tap:
                assert await dhcp_exchange(tap, STRANGER, timeout_s=0.3) is None
                assert await dhcp_exchange(tap, network.slot(1).mac)
            assert not [lease for lease in net.leases.all() if lease == STRANGER]

    asyncio.run(main())


def test_a_guest_that_has_had_its_address_gets_it_again_at_once(network, server):
    async def main():
        async with fleet(network, server=server) as (_, net):
            slot, other = network.slot(1), network.slot(2)
            with await net.open_tap(slot) as tap:
                assert await dhcp_request(tap, slot.mac, str(slot.address), xid=1) is Dhcp.ACK
                assert (await net.wait_lease(slot, 60)).address == slot.address
                assert await dhcp_request(tap, slot.mac, str(other.address), xid=2) is Dhcp.NAK

    asyncio.run(main())


def test_a_stranger_is_not_told_that_an_address_of_elsewhere_is_wrong(network, server):
    async def main():
        async with fleet(network, server=server) as (_, net):
            with await net.open_tap(network.slot(1)) as tap:
                assert await dhcp_exchange(tap, network.slot(1).mac, xid=1)
                for xid, address in enumerate(("192.168.1.5", "10.200.45.200"), start=2):
                    asked = dhcp_request(tap, STRANGER, address, xid=xid, timeout_s=0.3)
                    assert await asked is None

    asyncio.run(main())


def test_a_renewal_is_a_new_lease_to_wait_for(network, server):
    async def main():
        async with fleet(network, server=server) as (_, net):
            slot = network.slot(1)
            with await net.open_tap(slot) as tap:
                assert await dhcp_exchange(tap, slot.mac, xid=1)
                first = await net.wait_lease(slot, 60)
                net.leases.forget(slot.mac)
                waiter = asyncio.create_task(net.wait_lease(slot, 60))
                for xid in range(2, 62):  # leases end at whole seconds
                    assert await dhcp_exchange(tap, slot.mac, xid=xid)
                    if (await asyncio.wait([waiter], timeout=0.5))[0]:
                        break
                assert (await waiter).expires > first.expires

    asyncio.run(main())


def test_a_lease_may_be_without_end(network, server):
    async def main():
        async with fleet(replace(network, lease_time_s="infinite"), server=server) as (_, net):
            slot = network.slot(1)
            with await net.open_tap(slot) as tap:
                assert await dhcp_exchange(tap, slot.mac) == str(slot.address)
                assert (await net.wait_lease(slot, 60)).expires is None
            with await net.open_tap(slot):  # the slot's next machine: it never changes
                assert (await net.wait_lease(slot, 60)).expires is None

    asyncio.run(main())


def test_it_is_nobody_in_particular_and_listens_on_the_bridge_only(network, server):
    async def main():
        async with fleet(network, server=server) as (_, net):
            with await net.open_tap(network.slot(1)) as tap:  # it is ready a little before
                assert await dhcp_exchange(tap, network.slot(1).mac)
            assert "0" not in status(net.dhcp.process.pid)["Uid"].split()
            sockets = await net.namespace.run(Path("/proc/thread-self/net/udp").read_text)
            assert sockets.count(":0043 ") == 1
            if server is DhcpChoice.ISC:  # dnsmasq's is bound to the bridge, which is not told here
                assert f"{network.bridge_address.packed[::-1].hex().upper()}:0043 " in sockets

    asyncio.run(main())


def test_a_slots_next_machine_waits_for_a_lease_of_its_own(network, server):
    async def main():
        slot = network.slot(1)
        async with fleet(network, server=server) as (_, net):
            with await net.open_tap(slot) as tap:
                await dhcp_exchange(tap, slot.mac)
                first = await net.wait_lease(slot, 60)
            with await net.open_tap(slot) as tap:
                with pytest.raises(BootError, match="no DHCP lease"):
                    await net.wait_lease(slot, 0.05)
                assert net.leases.current(slot.mac) == first

    asyncio.run(main())


def test_a_killed_server_is_started_again_and_remembers(network, server):
    async def main():
        problems, told = Problems(), asyncio.Queue()
        problems.on_change(lambda key, problem: told.put_nowait((key, problem)))
        slot = network.slot(1)
        async with fleet(network, problems=problems, server=server) as (_, net):
            with await net.open_tap(slot) as tap:
                assert await dhcp_exchange(tap, slot.mac)
                first = await net.wait_lease(slot, 60)
                old = net.dhcp.process
                os.kill(old.pid, signal.SIGKILL)
                async with asyncio.timeout(60):
                    key, problem = await told.get()
                    assert key == "dhcp"
                    name = net.dhcp.program.name
                    assert problem.text == f"{name}: killed by SIGKILL; it is started again"
                    assert await told.get() == ("dhcp", None)
                # The new one's socket queues what comes while it starts, the gap loses it: as a
                # guest does, ask again.
                for _ in range(10):
                    if await dhcp_exchange(tap, slot.mac, timeout_s=0.5):
                        break
                assert net.dhcp.process.pid != old.pid
                assert net.leases.current(slot.mac).address == first.address

    asyncio.run(main())


def test_a_stopped_server_is_known_and_can_be_revived(network, server):
    async def main():
        problems, answers = Problems(), asyncio.Event()
        slot = network.slot(1)
        async with fleet(network, problems=problems, server=server) as (_, net):
            net.dhcp.on_answer(answers.set)
            old = net.dhcp.process
            net.dhcp.revive()  # one that is well stays
            assert not net.dhcp.ailment
            os.kill(old.pid, signal.SIGSTOP)
            async with asyncio.timeout(60):
                await asyncio.to_thread(os.waitid, os.P_PID, old.pid, os.WSTOPPED | os.WNOWAIT)
                assert "stopped by a signal" in net.dhcp.ailment
                net.dhcp.revive()
                await answers.wait()
            assert net.dhcp.process.pid != old.pid
            assert old.exit
            with await net.open_tap(slot) as tap:
                assert await dhcp_exchange(tap, slot.mac)
            assert not problems.current

    asyncio.run(main())


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (DhcpChoice.DNSMASQ, r"dnsmasq did not start: exit status 1: .*bad option"),
        (DhcpChoice.ISC, r"dhcpd did not start: exit status 1: .*semicolon expected"),
    ],
)
def test_a_server_that_cannot_start_says_why(network, monkeypatch, server, why):
    program = {DhcpChoice.DNSMASQ: Dnsmasq, DhcpChoice.ISC: Dhcpd}[server]
    good = program.config
    monkeypatch.setattr(program, "config", lambda *about: good(*about) + "no-such-option\n")

    async def main():
        async with fleet(network, server=server):
            pass

    with pytest.raises(HostError, match=why):
        asyncio.run(main())


def test_cancelled_at_any_point_nothing_is_left(network, server):
    async def life():
        async with fleet(network, server):
            await asyncio.Event().wait()

    async def main():
        for delay_ms in (0, 1, 3, 6, 10, 15, 20, 30, 45, 60, 80):
            task = asyncio.create_task(life())
            await asyncio.sleep(delay_ms / 1000)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(main())

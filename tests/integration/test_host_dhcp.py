"""dnsmasq, asked by clients like those of the guests."""

import asyncio
import os
import signal
from ipaddress import IPv4Address

import pytest
from host_tools import dhcp_exchange, fleet

from taskgen.errors import BootError, HostError
from taskgen.host import dhcp
from taskgen.problems import Problems


def test_each_slot_gets_its_address_by_its_mac_alone(network):
    async def main():
        async with fleet(network) as (_, net):
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


def test_a_foreign_mac_gets_no_answer(network):
    async def main():
        async with fleet(network) as (_, net):
            with await net.open_tap(network.slot(1)) as tap:
                assert await dhcp_exchange(tap, "0a:06:00:00:01:01", timeout_s=0.3) is None
                assert await dhcp_exchange(tap, network.slot(1).mac)
            assert not [lease for lease in net.leases.all() if lease == "0a:06:00:00:01:01"]

    asyncio.run(main())


def test_a_slots_next_machine_waits_for_a_lease_of_its_own(network):
    async def main():
        slot = network.slot(1)
        async with fleet(network) as (_, net):
            with await net.open_tap(slot) as tap:
                await dhcp_exchange(tap, slot.mac)
                first = await net.wait_lease(slot, 60)
            with await net.open_tap(slot) as tap:
                with pytest.raises(BootError, match="no DHCP lease"):
                    await net.wait_lease(slot, 0.05)
                assert net.leases.current(slot.mac) == first

    asyncio.run(main())


def test_a_killed_server_is_started_again_and_remembers(network):
    async def main():
        problems, told = Problems(), asyncio.Queue()
        problems.on_change(lambda key, problem: told.put_nowait((key, problem)))
        slot = network.slot(1)
        async with fleet(network, problems=problems) as (_, net):
            with await net.open_tap(slot) as tap:
                assert await dhcp_exchange(tap, slot.mac)
                first = await net.wait_lease(slot, 60)
                old = net.dhcp.process
                os.kill(old.pid, signal.SIGKILL)
                async with asyncio.timeout(60):
                    key, problem = await told.get()
                    assert key == "dhcp"
                    assert problem.text == "dnsmasq: killed by SIGKILL; it is started again"
                    assert await told.get() == ("dhcp", None)
                # The new one's socket queues what comes while it starts, the gap loses it: as a
                # guest does, ask again.
                for _ in range(10):
                    if await dhcp_exchange(tap, slot.mac, timeout_s=0.5):
                        break
                assert net.dhcp.process.pid != old.pid
                assert net.leases.current(slot.mac).address == first.address

    asyncio.run(main())


def test_a_server_that_cannot_start_says_why(network, monkeypatch):
    good = dhcp.dnsmasq_config

    def bad(*about):
        return good(*about) + "no-such-option\n"

    monkeypatch.setattr(dhcp, "dnsmasq_config", bad)

    async def main():
        async with fleet(network):
            pass

    with pytest.raises(HostError, match=r"dnsmasq did not start: exit status 1: .*bad option"):
        asyncio.run(main())


def test_cancelled_at_any_point_nothing_is_left(network):
    async def life():
        async with fleet(network):
            await asyncio.Event().wait()

    async def main():
        for delay_ms in (0, 1, 3, 6, 10, 15, 20, 30, 45, 60, 80):
            task = asyncio.create_task(life())
            await asyncio.sleep(delay_ms / 1000)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()

    asyncio.run(main())

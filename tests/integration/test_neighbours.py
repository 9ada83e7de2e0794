"""Who answers for an address in a fleet's network, and that the kernel sends to the right one."""

import asyncio
import socket

from host_tools import fleet
from pyroute2 import IPRoute
from test_machine import kind_of

from taskgen.machine import Machine

ADDRESS, WRONG = "10.200.45.1", "02:00:00:00:00:99"


def remember(bridge, mac):
    """Have the kernel know a MAC for the address, as it does of one that had it before."""
    with IPRoute() as ipr:
        index = ipr.link_lookup(ifname=bridge)[0]
        # A permanent one does not go by itself, which shows who corrects it.
        ipr.neigh("add", ifindex=index, dst=ADDRESS, lladdr=mac, state=0x80)


def known(bridge):
    with IPRoute() as ipr:
        index = ipr.link_lookup(ifname=bridge)[0]
        entries = ipr.get_neighbours(ifindex=index, dst=ADDRESS, family=socket.AF_INET)
        return [entry.get_attr("NDA_LLADDR") for entry in entries]


def test_a_machine_is_reached_though_the_kernel_knew_another_mac(profile, network, server):
    async def main():
        async with fleet(network, server=server) as (directory, net):
            await net.namespace.run(remember, network.bridge, WRONG)
            slot = network.slot(1)
            machine = Machine(slot, kind_of(profile), net, directory)
            try:
                await machine.start()
                assert await net.namespace.run(known, network.bridge) == [slot.mac]
                answers = await net.who_has(ADDRESS)
                assert list(answers) == [slot.mac]
            finally:
                await machine.stop()
            assert await net.who_has(ADDRESS) == {}

    asyncio.run(main())


def test_a_right_entry_is_left_as_it_is_and_none_is_made(network):
    async def main():
        async with fleet(network) as (_, net):
            slot = network.slot(1)
            await net.correct_neighbour(slot, ADDRESS)
            assert await net.namespace.run(known, network.bridge) == []
            await net.namespace.run(remember, network.bridge, slot.mac)
            await net.correct_neighbour(slot, ADDRESS)
            assert await net.namespace.run(known, network.bridge) == [slot.mac]

    asyncio.run(main())

"""Who answers for an address in a fleet's network, and that the kernel sends to the right one."""

import asyncio
import socket
from dataclasses import replace
from ipaddress import IPv4Address

from host_tools import fleet
from pyroute2 import IPRoute
from snapshot_tools import kind_of as snapshots_of
from snapshot_tools import started
from test_machine import kind_of
from test_session_manager import HEY, execute

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


def ask_in_vain():
    """Have the kernel ask who has the address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"", (ADDRESS, 9))


def test_the_kernel_needs_not_ask_for_a_machine(network, caplog):
    async def main():
        async with fleet(network) as (_, net):
            slot, bridge = network.slot(1), network.bridge
            with await net.open_tap(slot):
                for _ in range(2):
                    await net.tell_neighbour(slot, ADDRESS)
                    assert await net.namespace.run(known, bridge) == [slot.mac]

    asyncio.run(main())
    assert "another MAC" not in caplog.text


def test_the_kernel_is_told_where_a_machine_is_though_it_has_asked_before_there_was_one(
    network, caplog
):
    async def main():
        async with fleet(network) as (_, net):
            slot, bridge = network.slot(1), network.bridge
            with await net.open_tap(slot):
                await net.namespace.run(ask_in_vain)
                assert await net.namespace.run(known, bridge) == [None]
                await net.tell_neighbour(slot, ADDRESS)
                assert await net.namespace.run(known, bridge) == [slot.mac]

    asyncio.run(main())
    assert "another MAC" not in caplog.text


def listener(bridge):
    """What goes over the bridge; not for those who are in a hurry to read it."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK)
    sock.bind((bridge, 0x0800))
    return sock


def resets_of_the_guest(sock):
    """How many connections its guest did not know, of all that has come in."""
    found = 0
    while True:
        try:
            frame = sock.recv(2048)
        except BlockingIOError:
            return found
        packet = frame[14:]
        segment = packet[4 * (packet[0] & 0xF) :]
        if packet[9] == socket.IPPROTO_TCP and packet[12:16] == IPv4Address(ADDRESS).packed:
            found += bool(segment[13] & 0x04)


def test_no_guest_is_told_of_the_end_of_its_predecessors_connection(profile, network, tmp_path):
    network = replace(network, lease_time_s="infinite")

    async def main():
        async with (
            fleet(network) as (directory, net),
            started(snapshots_of(profile, tmp_path), net, directory) as machine,
        ):
            with await net.namespace.run(listener, network.bridge) as sock:
                for _ in range(3):
                    outcome = await execute(machine, HEY)
                    assert outcome.failure is None, outcome.reason
                    assert outcome.provenance["reset"] == "snapshot"
                assert resets_of_the_guest(sock) == 0

    asyncio.run(main())

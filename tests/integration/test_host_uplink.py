"""A fleet on a LAN: by a port of what plays the host, in and out of a namespace of its own."""

import asyncio
from ipaddress import IPv4Address

import pytest
from crashes import crash
from host_tools import available, dhcp_exchange, fleet, machine
from lan_world import (
    PORT,
    board,
    change,
    delete,
    dhcp_server,
    hosts_bridge,
    in_lan,
    lan,
    network_state,
)
from pyroute2 import IPRoute
from test_host_links import Witness, look

from taskgen.binaries import Binaries
from taskgen.board import Board, BoardKind
from taskgen.errors import HostError, SubnetInUseError
from taskgen.host.cleanup import down
from taskgen.host.frames import Dhcp, dhcp_answer, dhcp_frame
from taskgen.host.lan_probe import DevicePort

LIMIT_S = 120
STRANGER = "02:00:00:00:00:77"


def run(network, **wiring):
    async def main():
        async with fleet(network, **wiring):
            pass

    asyncio.run(main())


def is_port():
    """Whether the uplink is one of the bridge's, and up."""
    link = look(PORT)
    return link.get_attr("IFLA_MASTER") == look("br0")["index"] and link["flags"] & 1


def plug_in():
    with IPRoute() as ipr:
        ipr.link("add", ifname=PORT, kind="veth", peer="there")


async def answers(port, frames, limit_s):
    """What DHCP servers say to frames from the LAN, until the limit."""
    found, loop = [], asyncio.get_running_loop()

    def read():
        while True:
            try:
                if answer := dhcp_answer(port.receive()):
                    found.append(answer)
            except BlockingIOError:
                return

    loop.add_reader(port.fileno(), read)
    try:
        for frame in frames:
            port.send(frame)
            await asyncio.sleep(limit_s)
    finally:
        loop.remove_reader(port.fileno())
    return found


@pytest.mark.parametrize("namespace", ["", None])
def test_machines_and_the_lan_reach_each_other(network, profile, namespace):
    """A real guest's server is reached from the LAN, a board of the LAN from the fleet."""

    def hello():
        import socket

        with socket.create_connection(("10.200.45.1", 3001), timeout=LIMIT_S) as sock:
            sock.sendall((0xAAAAA).to_bytes(4, "little"))
            return sock.recv(4)

    async def main():
        async with fleet(network, namespace, uplink=PORT) as (directory, net):
            async with machine(profile, directory, net):
                lease = await net.wait_lease(network.slot(1), LIMIT_S)
                assert await available(net, lease.address, LIMIT_S)
                assert await asyncio.to_thread(in_lan, hello) == (0xAAAAA).to_bytes(4, "little")
            kind = BoardKind(
                profile=profile,
                binaries=Binaries([profile.binaries], profile.architecture),
                dial=lambda address, port: net.connect(str(address), port, LIMIT_S),
            )
            found = await Board.find("board", IPv4Address("10.200.45.200"), kind)
            assert isinstance(found, Board), found
            await found.close()

    with lan("10.200.45.200"), board("10.200.45.200"):
        before = network_state()
        asyncio.run(main())
        assert network_state() == before


def test_computers_of_the_lan_hear_nothing_from_our_dhcp_server(network):
    async def main():
        async with fleet(network, "", uplink=PORT) as (_, net):
            port = await asyncio.to_thread(in_lan, DevicePort, "far0")
            try:
                wish = b"\x32\x04" + bytes([192, 0, 2, 9])  # an authority would refuse that
                frames = [
                    dhcp_frame(STRANGER, Dhcp.DISCOVER, xid=1),
                    dhcp_frame(STRANGER, Dhcp.REQUEST, xid=2, options=wish),
                    dhcp_frame(network.slot(2).mac, Dhcp.DISCOVER, xid=3),
                ]
                found = []
                while not any(answer.xid == 3 for answer in found):
                    found += await answers(port, frames, 0.2)
                assert {(answer.xid, answer.kind) for answer in found} == {(3, Dhcp.OFFER)}
            finally:
                port.close()
            assert net.dhcp.process is not None

    with lan():
        asyncio.run(main())


@pytest.mark.parametrize("namespace", ["", None])
@pytest.mark.parametrize("knows", ["everybody", "only the first slot"])
def test_a_lan_with_a_dhcp_server_is_refused(network, tmp_path, namespace, knows):
    options = {
        "everybody": ["--dhcp-range=192.0.2.10,192.0.2.99"],
        "only the first slot": [
            "--dhcp-range=192.0.2.0,static",
            f"--dhcp-host={network.slot(1).mac},192.0.2.55",
        ],
    }[knows]
    with lan("192.0.2.1"), dhcp_server(tmp_path, *options):
        before = network_state()
        with pytest.raises(SubnetInUseError, match=r"a DHCP server, 192\.0\.2\.1, which offers"):
            run(network, namespace=namespace, uplink=PORT)
        assert network_state() == before


@pytest.mark.parametrize(
    ("taken", "whose"), [("10.200.45.254", "bridge"), ("10.200.45.7", "slots")]
)
def test_a_lan_where_somebody_has_an_address_of_the_fleet_is_refused(network, taken, whose):
    with lan(taken):
        before = network_state()
        with pytest.raises(SubnetInUseError, match=f"{taken}, of the fleet's {whose}, is that of"):
            run(network, namespace="", uplink=PORT)
        assert network_state() == before


def set_address(name, address):
    with IPRoute() as ipr:
        index = ipr.link_lookup(ifname=name)[0]
        ipr.link("set", index=index, state="up")
        ipr.addr("add", index=index, address=address, prefixlen=24)


def set_route(name):
    with IPRoute() as ipr:
        index = ipr.link_lookup(ifname=name)[0]
        ipr.link("set", index=index, state="up")
        ipr.route("add", dst="192.0.2.0/24", oif=index)


@pytest.mark.parametrize("namespace", ["", None])
@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda: set_address(PORT, "192.0.2.9"), r"has its address 192\.0\.2\.9/24 there"),
        (lambda: set_route(PORT), r"route to 192\.0\.2\.0/24 goes there"),
        (lambda: delete(PORT), "has no such network port"),
    ],
)
def test_a_port_that_the_host_needs_is_refused(network, namespace, use, words):
    with lan():
        use()
        before = network_state()
        with pytest.raises(HostError, match=words):
            run(network, namespace=namespace, uplink=PORT)
        assert network_state() == before


def test_a_port_of_another_bridge_is_refused(network):
    with lan(), hosts_bridge("theirs", ports=[PORT]):
        before = network_state()
        with pytest.raises(HostError, match="it belongs to theirs"):
            run(network, namespace="", uplink=PORT)
        assert network_state() == before


def test_a_port_without_a_cable_is_refused(network, monkeypatch):
    monkeypatch.setattr("taskgen.host.lan._CARRIER_S", 0.5)
    with lan(up=False):
        before = network_state()
        with pytest.raises(HostError, match="nothing is connected to it"):
            run(network, namespace="", uplink=PORT)
        assert network_state() == before


@pytest.mark.parametrize("address", [None, "10.200.45.250", "10.200.45.254"])
@pytest.mark.parametrize("inside", [True, False])
def test_the_hosts_own_bridge_is_used_and_left_as_it_was(network, address, inside):
    """:param inside: whether the port to the LAN is on it already."""

    async def main():
        async with fleet(network, "", uplink="" if inside else PORT, existing_bridge=True) as (
            _,
            net,
        ):
            slot = network.slot(3)
            with await net.open_tap(slot) as tap:
                assert await dhcp_exchange(tap, slot.mac) == str(slot.address)
            assert await asyncio.to_thread(is_port)

    with (
        lan("10.200.45.200"),
        board("10.200.45.200"),
        hosts_bridge(address=address, ports=[PORT] if inside else []),
    ):
        before = network_state()
        asyncio.run(main())
        assert network_state() == before


def test_a_bridge_of_another_range_is_refused(network):
    with hosts_bridge(address="192.0.2.1"):
        before = network_state()
        with pytest.raises(SubnetInUseError, match=r"the LAN on br0 is 192\.0\.2\.0/24, not the"):
            run(network, namespace="", existing_bridge=True)
        assert network_state() == before


def test_a_bridge_on_which_the_host_has_a_slots_address_is_refused(network):
    with (
        hosts_bridge(address="10.200.45.3"),
        pytest.raises(SubnetInUseError, match="is that of taskgen-3"),
    ):
        run(network, namespace="", existing_bridge=True)


def test_a_bridge_that_is_not_there_is_not_made(network):
    with pytest.raises(HostError, match="this host has no bridge 'br0'"):
        run(network, namespace="", existing_bridge=True)


@pytest.mark.parametrize("namespace", ["", "crashed"])
def test_a_killed_engines_port_is_given_back(network, namespace):
    with lan():
        before = network_state()
        crash("network", namespace=namespace, wiring=[PORT])
        assert network_state() != before
        report = down()
        assert report.left == report.failed == []
        assert f"{PORT}, which was set up: down again" in report.removed
        assert network_state() == before
        run(network, namespace=namespace and None, uplink=PORT)  # it is free again at once


def test_what_a_killed_engine_did_to_the_hosts_bridge_is_undone_and_nothing_else(network):
    with lan(), hosts_bridge(address="10.200.45.250"):
        before = network_state()
        crash("machines", namespace="", wiring=[PORT, "existing"])
        report = down()
        assert report.failed == []
        assert f"{PORT} from its bridge" in report.removed
        assert "address 10.200.45.254 from br0" in report.removed
        assert network_state() == before


def test_a_port_that_others_took_after_the_crash_stays_theirs(network):
    with lan(), hosts_bridge("theirs"):
        crash("network", namespace="", wiring=[PORT])
        with IPRoute() as ipr:
            change(PORT, master=ipr.link_lookup(ifname="theirs")[0])
        assert down().failed == []
        assert look(PORT).get_attr("IFLA_MASTER") == look("theirs")["index"]
        assert look(PORT)["flags"] & 1


@pytest.mark.parametrize("existing", [True, False])
def test_a_port_that_is_taken_off_or_set_down_is_put_back(network, existing):
    async def main():
        witness = Witness()
        async with fleet(network, "", witness.problems, uplink=PORT, existing_bridge=existing) as (
            _,
            net,
        ):
            for values in ({"master": 0}, {"state": "down"}):
                witness.seen.clear()
                await asyncio.to_thread(change, PORT, **values)
                await witness.over("bridge")
                assert await asyncio.to_thread(is_port)
            assert net.dhcp.process is not None

    with lan():
        if existing:
            with hosts_bridge():
                asyncio.run(main())
        else:
            asyncio.run(main())


@pytest.mark.parametrize("namespace", ["", None])
def test_a_port_that_went_away_is_told_and_joined_when_it_is_back(network, namespace):
    async def main():
        witness = Witness()
        async with fleet(network, namespace, witness.problems, uplink=PORT) as (_, net):
            await asyncio.to_thread(delete, PORT)
            await witness.reported("uplink", f"the uplink {PORT} is gone")
            await asyncio.to_thread(plug_in)
            await witness.over("uplink")
            assert net.dhcp.process is not None

    with lan():
        asyncio.run(main())

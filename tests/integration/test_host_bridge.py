"""The bridge and its taps, in a namespace and in what plays the host."""

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Network

import pytest
from host_tools import fleet, read_frame, write_frame
from pyroute2 import IPRoute

from taskgen.errors import HostError, NamespaceBusyError, SubnetInUseError
from taskgen.host.bridge import new_tap
from taskgen.host.link_keeper import fleet_links
from taskgen.host.netns import Namespace
from taskgen.slots import Network


def links():
    with IPRoute() as ipr:
        return {link.get_attr("IFLA_IFNAME"): link for link in ipr.get_links()}


def addresses():
    with IPRoute() as ipr:
        return {f"{a.get_attr('IFA_ADDRESS')}/{a['prefixlen']}" for a in ipr.get_addr(family=2)}


@asynccontextmanager
async def bridged(network, name="inside"):
    async with (
        await Namespace.create(name, mark="mark") as namespace,
        fleet_links(network, namespace, mark="mark") as keeper,
    ):
        yield namespace, keeper


def changed(network, **values):
    return Network(
        **{name: getattr(network, name) for name in network.__dataclass_fields__} | values
    )


def test_bridge_and_taps(network):
    async def main():
        async with bridged(network) as (namespace, keeper):
            found = (await namespace.run(links))["br0"]
            assert found.get_attr("IFLA_ADDRESS") == "0a:06:00:00:00:fe"
            assert found["state"] == "up"
            assert "10.200.45.254/24" in await namespace.run(addresses)
            with await keeper.open_tap(network.slot(7)) as tap:
                port = (await namespace.run(links))["taskgen7"]
                assert tap.name == "taskgen7"
                assert port["state"] == "up"
                assert port.get_attr("IFLA_MASTER") == found["index"]
                # The bridge's address does not follow its ports: guests have it in their caches.
                now = (await namespace.run(links))["br0"]
                assert now.get_attr("IFLA_ADDRESS") == "0a:06:00:00:00:fe"
                with pytest.raises(NamespaceBusyError, match="'taskgen7' already"):
                    await keeper.open_tap(network.slot(7))
            assert "taskgen7" not in await namespace.run(links)
            with await keeper.open_tap(network.slot(7)):
                pass

    asyncio.run(main())


@pytest.mark.parametrize("isolate", [True, False])
def test_guests_reach_each_other_only_where_that_is_wanted(network, isolate):
    network = changed(network, isolate=isolate)
    hello = b"\xff" * 6 + b"\x0a\x06\0\0\0\x01" + b"\x88\xb5hello" + bytes(50)
    last = b"\xff" * 6 + b"\x0a\x06\0\0\0\xfe" + b"\x88\xb5last" + bytes(50)

    async def main():
        async with bridged(network) as (namespace, keeper):
            with (
                await keeper.open_tap(network.slot(1)) as one,
                await keeper.open_tap(network.slot(2)) as two,
            ):

                def say_last():
                    with packet_socket("br0") as sock:
                        sock.send(last)

                first = None
                for _ in range(60):  # a port that has just come up may lose a frame
                    write_frame(one, hello)
                    await namespace.run(say_last)
                    # What the bridge itself sends comes in any case, and after what the guest sent.
                    first = await read_frame(two, lambda frame: frame[12:14] == b"\x88\xb5", 1.0)
                    if first is not None and (isolate or first[:19] == hello[:19]):
                        break
                assert first[:19] == (last if isolate else hello)[:19]

    asyncio.run(main())


@contextmanager
def packet_socket(device):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        yield sock


def test_tap_without_bridge(network):
    async def main():
        async with await Namespace.create("inside", mark="m") as namespace:
            with pytest.raises(HostError, match="the bridge br0 is gone"):
                await namespace.run(new_tap, network, "taskgen1")
            assert "taskgen1" not in await namespace.run(links)

    asyncio.run(main())


@contextmanager
def device(name, *, address=None, route=None):
    with IPRoute() as ipr:
        ipr.link("add", ifname=name, kind="bridge")
        index = ipr.link_lookup(ifname=name)[0]
        try:
            ipr.link("set", index=index, state="up")
            if address:
                ipr.addr("add", index=index, address=address, prefixlen=24)
            if route:
                ipr.route("add", dst=route, oif=index)
            yield
        finally:
            ipr.link("del", index=index)


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({"address": "10.200.45.9"}, r"10\.200\.45\.0/24 of the fleet: the host has the address"),
        ({"route": "10.200.0.0/16"}, r"the host has the route to 10\.200\.0\.0/16"),
        ({"route": "10.200.45.128/25"}, r"the host has the route to 10\.200\.45\.128/25"),
    ],
)
def test_used_subnet_is_refused_in_the_hosts_namespace(network, there, words):
    with device("theirs", **there):
        with pytest.raises(SubnetInUseError, match=words):
            asyncio.run(bridged(network, "").__aenter__())
        assert "br0" not in links()


def test_default_route_and_other_subnets_are_no_obstacle(network):
    async def main():
        async with bridged(network, ""):
            assert "br0" in await asyncio.to_thread(links)

    with device("theirs", address="192.0.2.1", route="0.0.0.0/0"):
        asyncio.run(main())
        assert "br0" not in links()


def test_bridge_of_somebody_else_is_refused_and_kept(network):
    with device("br0"):
        with pytest.raises(NamespaceBusyError, match="a network device 'br0' already"):
            asyncio.run(bridged(network, "").__aenter__())
        assert "br0" in links()
        assert not [name for name in links() if name.startswith("tgen")]


def test_own_namespaces_do_not_meet(network):
    """The same subnet thrice: the host's, and those of two fleets."""

    async def main():
        async with bridged(network, "one") as (_, one), bridged(network, "two") as (_, two):
            for keeper in (one, two):
                with await keeper.open_tap(network.slot(1)):
                    pass

    with device("theirs", address="10.200.45.254"):
        asyncio.run(main())


def test_fleet_in_the_hosts_namespace(network):
    network = changed(
        network,
        subnet=IPv4Network("198.51.100.0/24"),
        bridge_address=IPv4Network("198.51.100.254/32").network_address,
    )

    async def main():
        async with fleet(network, "") as (_, net):
            with await net.open_tap(network.slot(1)):
                assert {"br0", "taskgen1"} <= set(await asyncio.to_thread(links))

    asyncio.run(main())
    assert "br0" not in links()

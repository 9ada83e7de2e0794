"""What the doctor finds of networks: asked on fleets that live, read where there are none."""

import asyncio
from contextlib import contextmanager

import pytest
from host_tools import fleet
from lan_world import PORT, change, dhcp_server, hosts_bridge, lan, network_state
from pyroute2.nftables.main import NFTables

from taskgen.host.doctor.check import Grade
from taskgen.host.doctor.network import check_networks
from taskgen.host.netfilter import crossing_is_filtered
from taskgen.settings import NetworkSettings


def checks(network, namespace=None, fleet_there=True, **wiring):
    """What is found, by name; with a fleet that lives, or by the settings alone."""
    settings = NetworkSettings(namespace=namespace, **wiring)

    async def look():
        return [check async for check in check_networks(network, settings)]

    async def main():
        if not fleet_there:
            return await look()
        async with fleet(network, namespace, **wiring):
            return await look()

    return asyncio.run(main())


@contextmanager
def dropping(hook):
    """Rules as Docker, or a firewall, has them: what no rule accepts is dropped."""
    with NFTables(nfgen_family=2) as nft:
        nft.table("add", name="filter")
        nft.chain("add", table="filter", name="BASE", hook=hook, type="filter", policy=0)
    try:
        yield
    finally:
        with NFTables(nfgen_family=2) as nft:
            nft.chain("del", table="filter", name="BASE")
            nft.table("del", name="filter")


@pytest.mark.parametrize("namespace", ["", None])
def test_a_fleet_that_is_alone_is_well(network, namespace):
    before = network_state()
    found = checks(network, namespace)
    assert {check.grade for check in found} == {Grade.OK}
    assert found[0].found == "nobody but the fleet's own DHCP server answers"
    assert network_state() == before


@pytest.mark.parametrize("namespace", ["", None])
def test_a_dhcp_server_that_came_to_the_lan_later_is_found(network, tmp_path, namespace):
    async def main():
        async with fleet(network, namespace, uplink=PORT):
            with dhcp_server(tmp_path, "--dhcp-range=192.0.2.10,192.0.2.99"):
                return [check async for check in check_networks(network, NetworkSettings())]

    with lan("192.0.2.1"):
        found = asyncio.run(main())[0]
    assert found.grade is Grade.FAIL
    assert "another DHCP server, 192.0.2.1, offers 192.0.2." in found.found


def test_rules_that_drop_what_crosses_the_bridge_are_found_by_what_they_do(network):
    assert crossing_is_filtered(), "this kernel has no br_netfilter: modprobe br_netfilter"
    with dropping("forward"):
        (own, found) = checks(network, "")
        assert own.grade is Grade.OK
        assert found.grade is Grade.FAIL
        assert found.found == "what crosses br0 is dropped: ip filter BASE"
        assert "-i br0 -o br0 -j ACCEPT" in found.advice
        (inside,) = checks(network)
        assert inside.grade is Grade.OK  # a namespace has no such rules


def test_a_firewall_that_keeps_guests_from_the_dhcp_server_is_found(network):
    with dropping("input"):
        found = checks(network, "")[0]
    assert found.grade is Grade.FAIL
    assert "does not answer; ip filter BASE drops what no rule accepts" in found.found
    assert "--dport 67 -j ACCEPT" in found.advice


def test_without_a_fleet_links_and_rules_are_read_and_nothing_is_sent(network):
    with lan(), dropping("forward"):
        change(PORT, state="up")
        before = network_state()
        links, rules = checks(network, "", fleet_there=False, uplink=PORT)
        assert links.grade is Grade.OK
        assert rules.grade is Grade.WARN
        assert "ip filter BASE" in rules.found
        assert network_state() == before


def test_without_a_fleet_a_bridge_of_others_is_refused(network):
    with hosts_bridge(address="192.0.2.1"):
        links = checks(network, "", fleet_there=False, existing_bridge=True)[0]
    assert links.grade is Grade.FAIL
    assert "the LAN on br0 is 192.0.2.0/24" in links.found


def test_who_uses_a_namespace_only_is_not_bothered_with_the_host(network):
    assert checks(network, fleet_there=False) == []

"""dnsmasq's configuration."""

from pathlib import Path

from taskgen import assets
from taskgen.host.dnsmasq import Dnsmasq, dnsmasq_config
from taskgen.slots import load_network

NETWORK = load_network(assets.root() / "network/network.toml")
DIRECTORY = Path("/run/taskgen/one")


def config():
    return dnsmasq_config(NETWORK, DIRECTORY)


def test_every_slot_has_its_address_and_nobody_else_gets_one():
    lines = config().splitlines()
    hosts = [line for line in lines if line.startswith("dhcp-host=")]
    assert len(hosts) == 42
    assert hosts[0] == "dhcp-host=0a:06:00:00:00:01,10.200.45.1,3600"
    assert hosts[41] == "dhcp-host=0a:06:00:00:00:2a,10.200.45.42,3600"
    assert [line for line in lines if line.startswith("dhcp-range=")] == [
        "dhcp-range=10.200.45.0,static,255.255.255.0,3600"
    ]


def test_it_stays_on_the_bridge():
    assert {"port=0", "interface=br0", "bind-interfaces", "except-interface=lo"} <= set(
        config().splitlines()
    )


def test_the_mac_is_the_only_key_and_nothing_delays_a_lease():
    assert {"dhcp-ignore-clid", "no-ping", "dhcp-authoritative"} <= set(config().splitlines())


def test_strangers_are_ignored():
    assert "dhcp-ignore=tag:!known" in config().splitlines()


def test_the_command_is_known_again_by_its_file():
    assert f"--conf-file={DIRECTORY}/dnsmasq.conf" in Dnsmasq(NETWORK, DIRECTORY).command()


def test_neither_its_start_nor_its_leases_are_told_as_the_reason_of_its_death(tmp_path):
    server = Dnsmasq(NETWORK, tmp_path)
    usual = [
        "dnsmasq[12819]: started, version 2.90 DNS disabled",
        "dnsmasq[12819]: compile time options: IPv6 GNU-getopt DBus no-UBus",
        "dnsmasq-dhcp[12819]: DHCP, static leases only on 10.200.45.0, lease time 1h",
    ]
    assert not any(map(server.is_news, usual))
    assert server.is_news("dnsmasq: failed to create listening socket: Address already in use")

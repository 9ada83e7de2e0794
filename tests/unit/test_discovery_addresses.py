"""What a user may name as hosts, and what is said of the rest."""

import tracemalloc
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskgen.addresses import Addresses, parse_hosts
from taskgen.errors import ConfigError

NAMES = {"board-1": ["192.0.2.7"], "both.example.": ["192.0.2.8", "192.0.2.9"], "none": []}


def resolve(name):
    if name not in NAMES:
        raise OSError(-2, "Name or service not known")
    return NAMES[name]


def listed(hosts):
    return [str(address) for address in parse_hosts(hosts, resolve)]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("172.25.1.2", ["172.25.1.2"]),
        (" 172.25.1.2 ", ["172.25.1.2"]),
        (["172.25.1.3", "172.25.1.2", "172.25.1.3"], ["172.25.1.2", "172.25.1.3"]),
        ("172.25.1.0/30", ["172.25.1.1", "172.25.1.2"]),
        ("172.25.1.0/31", ["172.25.1.0", "172.25.1.1"]),
        ("172.25.1.5/32", ["172.25.1.5"]),
        ("172.25.1.0/255.255.255.252", ["172.25.1.1", "172.25.1.2"]),
        (["172.25.1.0/30", "172.25.1.3"], ["172.25.1.1", "172.25.1.2", "172.25.1.3"]),
        (["172.25.1.0/30", "172.25.1.0/29"], [f"172.25.1.{n}" for n in range(1, 7)]),
        ("board-1", ["192.0.2.7"]),
        (["192.0.2.7", "board-1"], ["192.0.2.7"]),
        ("both.example.", ["192.0.2.8"]),
        (("127.0.0.1",), ["127.0.0.1"]),
    ],
)
def test_hosts_are_listed_once_in_ascending_order(hosts, expected):
    assert listed(hosts) == expected


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ([], "no hosts are named"),
        ("", "host '': cannot be understood"),
        ("172.25.1.256", "host '172.25.1.256': not an IPv4 address"),
        ("172.25.1", "host '172.25.1': not an IPv4 address"),
        ("172.25.1.2:3001", "IPv6 addresses and ports are not possible here .*hosts.port"),
        ("fe80::1", "IPv6 addresses"),
        ("172.25.1.2/24", r"172\.25\.1\.2 is an address within 172\.25\.1\.0/24 \(write 172"),
        ("172.25.1.0/33", "range '172.25.1.0/33': not a CIDR range"),
        ("172.25.1.0/", "range '172.25.1.0/': not a CIDR range"),
        ("board/24", "range 'board/24': not a CIDR range"),
        ("0.0.0.0", "no host can have such an address"),
        ("0.0.0.0/0", "no host can have such an address"),
        ("224.0.0.1", "no host can have such an address"),
        ("255.255.255.255", "no host can have such an address"),
        ("nobody", "host 'nobody': no address is known: Name or service not known"),
        ("none", "host 'none': no IPv4 address is known"),
        ("-x", "host '-x': cannot be understood"),
        ("a b", "host 'a b': cannot be understood"),
        ("a,b", "host 'a,b': cannot be understood"),
        ([3], "host 3: not text"),
        (["172.25.1.2", "bad name"], "host 'bad name': cannot be understood"),
    ],
)
def test_what_is_wrong_is_said(hosts, message):
    with pytest.raises(ConfigError, match=message):
        parse_hosts(hosts, resolve)


def test_a_name_is_told_with_its_address():
    hosts = parse_hosts(["board-1", "192.0.2.1"], resolve)
    assert [hosts.name(address) for address in hosts] == ["192.0.2.1", "board-1 (192.0.2.7)"]


def test_the_system_knows_this_host():
    assert [str(address) for address in parse_hosts("localhost")] == ["127.0.0.1"]


def test_a_great_range_costs_nothing():
    tracemalloc.start()
    try:
        hosts = parse_hosts("10.0.0.0/8")
        assert len(hosts) == 2**24 - 2
        assert str(hosts[-1]) == "10.255.255.254"
        assert str(hosts[2**20]) == "10.16.0.1"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1])),
        max_size=8,
    )
)
def test_addresses_are_a_sequence_of_each_address_once(ranges):
    hosts = Addresses(ranges)
    expected = sorted({IPv4Address(n) for first, last in ranges for n in range(first, last + 1)})
    assert list(hosts) == expected
    assert [hosts[i] for i in range(len(hosts))] == expected
    assert hosts[:] == expected
    assert [hosts[-i - 1] for i in range(len(hosts))] == expected[::-1]
    assert [IPv4Address(n) in hosts for n in range(60)] == [
        IPv4Address(n) in expected for n in range(60)
    ]
    with pytest.raises(IndexError):
        hosts[len(hosts)]
    assert "text" not in hosts


@given(st.integers(2, 30), st.integers(2**24, 2**31))
def test_a_range_has_what_the_standard_library_calls_its_hosts(prefix, number):
    network = IPv4Network((number >> (32 - prefix) << (32 - prefix), prefix))
    if network.network_address < IPv4Address("1.0.0.0"):
        return
    hosts = parse_hosts(str(network))
    assert len(hosts) == network.num_addresses - 2
    assert hosts[0] == network.network_address + 1
    assert hosts[-1] == network.broadcast_address - 1


@pytest.mark.parametrize(
    ("first", "last", "left"),
    [
        ("10.0.0.1", "10.0.0.5", "10.0.0.6"),
        ("10.0.0.3", "10.0.0.4", "10.0.0.1-10.0.0.2, 10.0.0.5-10.0.0.6"),
        ("10.0.0.6", "10.0.9.9", "10.0.0.1-10.0.0.5"),
        ("10.0.1.0", "10.0.1.9", "10.0.0.1-10.0.0.6"),
        ("10.0.0.0", "10.0.0.7", ""),
    ],
)
def test_addresses_can_be_taken_out(first, last, left):
    hosts = parse_hosts("10.0.0.0/29").without(IPv4Address(first), IPv4Address(last))
    assert str(hosts) == left
    assert len(hosts) == len(list(hosts))

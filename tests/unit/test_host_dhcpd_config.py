"""The configuration of ISC's dhcpd."""

from taskgen import assets
from taskgen.host.dhcpd_config import dhcpd_config
from taskgen.slots import load_network

NETWORK = load_network(assets.root() / "network/network.toml")


def test_the_top_level_file_is_what_the_network_says():
    there = (assets.root() / "dhcpd.conf").read_text(encoding="ascii")
    assert there == dhcpd_config(NETWORK), "taskgen network dhcpd-conf --output dhcpd.conf --force"


def test_every_slot_has_a_pool_of_one_address_that_only_its_mac_may_have():
    lines = dhcpd_config(NETWORK).splitlines()
    classes = [line for line in lines if line.startswith("class ")]
    pools = [line for line in lines if "pool " in line]
    assert len(classes) == len(pools) == 42
    assert classes[41] == (
        'class "taskgen-42" { match if substring(hardware, 0, 7) = 1:0a:06:00:00:00:2a; }'
    )
    assert pools[41] == '  pool { range 10.200.45.42; allow members of "taskgen-42"; }'


def test_no_address_is_given_in_a_way_that_the_lease_file_does_not_tell():
    assert "fixed-address" not in dhcpd_config(NETWORK)

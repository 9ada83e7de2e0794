"""The DHCP servers that there are to choose from."""

from __future__ import annotations

from pathlib import Path

from taskgen.host.dhcp_program import DhcpProgram
from taskgen.host.dhcpd import Dhcpd
from taskgen.host.dnsmasq import Dnsmasq
from taskgen.settings import DhcpChoice
from taskgen.slots import Network


def dhcp_programs(
    network: Network, directory: Path, fleet_id: str
) -> dict[DhcpChoice, DhcpProgram]:
    """Each of them, for a fleet; nothing is made yet.

    :param directory: the fleet's.
    :param fleet_id: from the fleet's record.
    """
    return {
        DhcpChoice.DNSMASQ: Dnsmasq(network, directory),
        DhcpChoice.ISC: Dhcpd(network, directory, fleet_id),
    }

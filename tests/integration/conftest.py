"""Integration tests: parts put together, on real namespaces, taps, DHCP and machines."""

import pytest
from programs import needed
from world import network, no_leftovers, own_state, own_world, profile

from taskgen.settings import DhcpChoice

__all__ = ["network", "no_leftovers", "own_state", "own_world", "profile", "server"]


@pytest.fixture(params=DhcpChoice)
def server(request):
    """Each DHCP server that a fleet can have."""
    if request.param is DhcpChoice.ISC:
        needed("dhcpd")
    return request.param

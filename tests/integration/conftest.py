"""Integration tests: parts put together, on real namespaces, taps, DHCP and machines."""

from world import network, no_leftovers, own_world, profile

__all__ = ["network", "no_leftovers", "own_world", "profile"]
